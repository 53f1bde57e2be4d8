/* SPDX-License-Identifier: 0BSD */
/* The naming schemes: SCHEME(name), whose struct is rs_scheme_NAME in lib/weights/names_*.c. Of two that fit a checkpoint equally
   well the one further up is taken. */
SCHEME(torchvision)
SCHEME(timm)
SCHEME(timm_v2)
SCHEME(hf)

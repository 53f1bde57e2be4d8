/* SPDX-License-Identifier: 0BSD */
/* The naming schemes: SCHEME(name), whose struct is rs_scheme_NAME in lib/weights/names_*.c. Of two that fit a checkpoint equally
   well the one further up is taken. */
SCHEME(torchvision)
SCHEME(timm)
SCHEME(timm_v2)
SCHEME(hf)
SCHEME(keras)
SCHEME(keras_v2)
SCHEME(keras3)
SCHEME(keras3_v2)
SCHEME(keras_cifar)
SCHEME(slim)
SCHEME(slim_v2)
SCHEME(flax)
SCHEME(flax_example)

/* SPDX-License-Identifier: 0BSD */
/* The formats, in the order in which they are tried: FORMAT(name), whose struct is rs_format_NAME. */
FORMAT(safetensors)
FORMAT(npz)
FORMAT(npy)
FORMAT(torch)
FORMAT(paddle)
FORMAT(flax)
FORMAT(tf)
FORMAT(h5)
FORMAT(detectron)
FORMAT(mxnet)
FORMAT(ncnn)
FORMAT(caffe)

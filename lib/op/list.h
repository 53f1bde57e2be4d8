/* SPDX-License-Identifier: 0BSD */
/* Every operator, one row each: RS_OP(relu) is the const struct rs_op_relu. Rows may stand in any order. */

/* light: element by element, shapes, moving data, reductions */

/* heavy: products, convolutions, normalisation, pools, softmax, quantised products */

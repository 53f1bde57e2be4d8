/* SPDX-License-Identifier: 0BSD */
/* How many threads to use: what was asked for, or every processor this process may run on. */
#ifndef RS_BASE_THREADS_H
#define RS_BASE_THREADS_H

int rs_threads(int wanted); /* wanted <= 0: all; the result is 1..256 */

#endif

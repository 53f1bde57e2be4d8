/* SPDX-License-Identifier: 0BSD */
/* Seconds on a clock that never steps back, for rates and time limits. */
#ifndef RS_BASE_CLOCK_H
#define RS_BASE_CLOCK_H

double rs_now(void);

#endif

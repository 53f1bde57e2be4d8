/* SPDX-License-Identifier: 0BSD */
/* A trial and its verdict as JSON. */
#ifndef TRIAL_JSON_H
#define TRIAL_JSON_H

#include <jansson.h>
#include "resect/resect.h"

/* Shares and differences lie in 0..1 and -1..1, times are seconds. Every figure of it stands in the report. */
json_t *trial_json(const resect_trial *t, const resect_verdict *v);

#endif

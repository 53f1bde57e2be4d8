/* SPDX-License-Identifier: 0BSD */
/*
 * Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). A
 * number is a pure function of (seed, stream, index), so that the order of threads, a resume or a changed loop cannot change
 * it, and the state of a training run is a few integers.
 */
#ifndef RS_BASE_RANDOM_H
#define RS_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The 128 random bits at (seed, stream, index). */
void rs_philox(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);

/* A stream for a purpose and its parts: rs_stream("flip", epoch, sample). Distinct arguments give distinct streams in all
   likelihood. */
uint64_t rs_stream(const char *purpose, uint64_t a, uint64_t b);

double rs_uniform(uint64_t seed, uint64_t stream, uint64_t index); /* in [0, 1) with 53 bits */
double rs_normal(uint64_t seed, uint64_t stream, uint64_t index);  /* mean 0, variance 1 (Box-Muller) */
uint64_t rs_below(uint64_t seed, uint64_t stream, uint64_t index, uint64_t n); /* in [0, n), bias below 2^-64 n; n > 0 */

/* A random order of 0..n-1 into order (Fisher-Yates). */
void rs_shuffle(uint64_t seed, uint64_t stream, size_t *order /* [n] */, size_t n);

#endif

/* SPDX-License-Identifier: 0BSD */
#include "resect/train.h"

void
resect_train_defaults(resect_train_options *o)
{
        *o = (resect_train_options){.epochs = 10,
                .batch = 32,
                .optimizer = "sgd",
                .lr = 0.01,
                .momentum = 0.9,
                .beta1 = 0.9,
                .beta2 = 0.999,
                .eps = 1e-8,
                .schedule = "cosine",
                .warmup = -1,
                .step_gamma = 0.1,
                .restart_stretch = 2,
                .metric = "top1",
                .cache_size = UINT64_C(1) << 30,
                .save_every = 60};
}

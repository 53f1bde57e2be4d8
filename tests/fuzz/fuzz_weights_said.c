/* SPDX-License-Identifier: 0BSD */
/* libFuzzer over what stands beside weights and says what they mean: Keras's model_config, MXNet's
 * symbol. Whatever it says, strides and epsilons stay in their bounds. */
#include <stdlib.h>
#include "fuzz_weights.h"
#include "weights/keras_config.h"
#include "weights/mxnet_symbol.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const char *const names[] = {"conv1_weight", "bn_gamma", "bn_moving_var",
                "conv2d_1/conv2d_1/kernel:0", "bn/bn/moving_variance:0", "layers/conv2d/vars/0",
                "layers/functional/layers/batch_normalization/vars/3"};
        enum { NAMES = sizeof names / sizeof *names };
        static const unsigned char four[4];
        static const int64_t one = 1;
        for (int job = 0; job < 2; job++) {
                rs_checkpoint *c = fuzz_checkpoint("fuzz");
                resect_error err = {0};
                const char *why;
                for (size_t i = 0; i < NAMES; i++)
                        if (!rs_checkpoint_add(
                                    c, names[i], RESECT_FLOAT, 1, &one, (rs_span){four, 4}, &err))
                                abort();
                rs_span text = {data, size};
                bool ok = job ? rs_keras_config(c, text, &err)
                              : rs_mxnet_symbol_take(c, text, &why, &err);
                fuzz_said(ok || err.code == RESECT_UNSUPPORTED, &err);
                for (size_t i = 0; ok && i < c->n_entries; i++) {
                        const rs_says *s = c->entries[i].says;
                        if (s && !(s->epsilon <= 1 && s->momentum >= 0 && s->momentum <= 1 &&
                                         s->stride >= 0 && s->stride < 64))
                                abort();
                }
                rs_checkpoint_free(c);
        }
        return 0;
}

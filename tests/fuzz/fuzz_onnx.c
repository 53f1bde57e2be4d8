/* SPDX-License-Identifier: 0BSD */
/*
 * libFuzzer over the model reader. What is accepted must be usable: values decode to the size they
 * claim, the model is written, what is written is accepted and is written as the same bytes again,
 * and with everything touched it is still a model. HACKING.md says how to build and run it.
 */
#include <stdlib.h>
#include <string.h>
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool ok)
{
        if (!ok)
                abort();
}

static void
decode_all(const resect_model *m)
{
        for (size_t i = 0; i < m->graph.n_tensors; i++) {
                const rs_tensor *t = m->graph.tensors[i];
                rs_arena arena = {0};
                rs_span s;
                unsigned sum = 0;
                if (rs_tensor_bytes(m, t, &arena, &s, NULL)) {
                        need(s.size == t->bytes);
                        for (size_t k = 0; k < s.size; k++)
                                sum += s.data[k];
                }
                volatile unsigned sink = sum; /* every byte was read */
                (void)sink;
                rs_arena_free(&arena);
        }
}

static void
touch_all(resect_model *m)
{
        for (size_t i = 0; i < m->graph.n_nodes; i++)
                rs_node_touch(m->graph.nodes[i]);
        for (size_t i = 0; i < m->graph.n_tensors; i++)
                m->graph.tensors[i]->touched = true;
        for (size_t i = 0; i < m->graph.n_inputs; i++)
                m->graph.inputs[i]->touched = true;
        for (size_t i = 0; i < m->graph.n_outputs; i++)
                m->graph.outputs[i]->touched = true;
        for (size_t i = 0; i < m->graph.n_values; i++)
                m->graph.values[i]->touched = true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const resect_read_options options = {.max_size = 1 << 20};
        void *one, *two;
        size_t n_one, n_two;
        resect_model *m = resect_model_read_memory(data, size, &options, NULL);
        if (!m)
                return 0;
        decode_all(m);
        need(resect_model_write_memory(m, &one, &n_one, NULL));
        resect_model *again = resect_model_read_memory(one, n_one, NULL, NULL);
        need(again);
        need(resect_model_write_memory(again, &two, &n_two, NULL));
        need(n_one == n_two && memcmp(one, two, n_one) == 0);
        resect_model_free(again);
        resect_free(one);
        resect_free(two);
        touch_all(m);
        need(resect_model_write_memory(m, &one, &n_one, NULL));
        again = resect_model_read_memory(one, n_one, NULL, NULL);
        need(again);
        resect_model_free(again);
        resect_free(one);
        bool ok = rs_graph_sort(m, NULL) && rs_graph_prune(m, NULL);
        (void)ok; /* a graph that goes round is refused */
        resect_model_free(m);
        return 0;
}

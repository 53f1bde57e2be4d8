/* SPDX-License-Identifier: 0BSD */
/* The anatomy as a whole: the order of the work, the summary, and the public questions. */
#include "look/trunk.h"

#include <string.h>

static void
describe_input(resect_anatomy *a)
{
        resect_summary *s = &a->summary;
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        s->in_channels = s->in_height = s->in_width = -1;
        if (!s->input)
                return;
        for (int i = 1; i < a->trunk->n_chain;
                i++) { /* to the first Conv: does a Transpose turn [N, H, W, C] round? */
                const rs_node *n = a->trunk->v[a->trunk->chain[i]].maker;
                const rs_attr *perm = strcmp(n->op, "Transpose") ? NULL : rs_node_attr(n, "perm");
                if (rs_is_conv(n))
                        break;
                s->nhwc |= perm && perm->type == RS_ATTR_INTS && perm->n == 4 && perm->ints[1] == 3;
        }
        if (rs_value_dims(a, s->input, &rank, dims) && rank == 4) {
                s->in_channels = dims[s->nhwc ? 3 : 1];
                s->in_height = dims[s->nhwc ? 1 : 2];
                s->in_width = dims[s->nhwc ? 2 : 3];
        }
        if (s->in_channels < 0 && a->stem_convs.n) {
                const rs_tensor *w = rs_anatomy_initializer(
                        a, a->stem_convs.at[0], rs_weight_slot(a->stem_convs.at[0]));
                if (w && w->rank == 4 && rs_node_int(a->stem_convs.at[0], "group", 1) == 1)
                        s->in_channels = w->dims[1];
        }
}

/* Channels of a value: [N, C] or [N, C, 1, 1]. */
static int64_t
width_of(const resect_anatomy *a, const char *value)
{
        int rank;
        int64_t dims[RESECT_RANK_MAX];
        return value && rs_value_dims(a, value, &rank, dims) && rank >= 2 ? dims[1] : -1;
}

/* Columns that the affine map makes, when the types do not say. */
static int64_t
width_of_affine(const resect_anatomy *a, const rs_node *n, bool out)
{
        const rs_tensor *w = rs_anatomy_initializer(a, n, rs_weight_slot(n));
        if (!w || w->rank < 2)
                return -1;
        static const char *const gemm[] = {"Gemm", "QGemm", NULL};
        bool by_row = rs_is_conv(n) || (rs_op_in(n, gemm) && rs_node_int(n, "transB", 0));
        return w->dims[by_row == out ? 0 : 1];
}

static void
describe_tail(resect_anatomy *a)
{
        resect_summary *s = &a->summary;
        const rs_atail *t = &a->tail;
        s->has_pool = t->pool != NULL;
        s->has_head = t->logits != NULL;
        s->has_softmax = t->softmax != NULL;
        s->features = t->features;
        s->logits = t->logits;
        s->n_features = width_of(a, t->features);
        s->n_classes = width_of(a, t->logits);
        if (t->affine.n && s->n_features < 0)
                s->n_features = width_of_affine(a, t->affine.at[0], false);
        if (t->affine.n && s->n_classes < 0)
                s->n_classes = width_of_affine(a, t->affine.at[t->affine.n - 1], true);
        if (s->n_features < 0 && a->n_blocks && (t->pool || t->features == t->maps))
                s->n_features = a->blocks[a->n_blocks - 1].pub.out_channels;
}

/* Folded: the first convolution of a block is followed by no normalisation. Trainable: a gradient
   can come from the output to every parameter, that is through every node that both live on the
   picture and lead to the output. */
static bool
describe_nodes(resect_anatomy *a, resect_error *err)
{
        resect_summary *s = &a->summary;
        const rs_graph *g = &a->model->graph;
        for (size_t i = 0; i < g->n_nodes; i++) {
                s->n_conv += rs_is_conv(g->nodes[i]);
                s->n_bn += !strcmp(g->nodes[i]->op, "BatchNormalization");
        }
        size_t bare = 0;
        for (size_t i = 0; i < a->n_blocks; i++) {
                const rs_node *next = a->blocks[i].convs.at[0];
                do
                        next = rs_trunk_sole_reader(a, next->out[0]);
                while (next && next->n_out && rs_passes(next));
                bare += !next || !rs_is_norm(next);
        }
        s->bn_folded = a->n_blocks && bare * 2 > a->n_blocks;
        if (!a->trunk->n_chain)
                return true;
        rs_nodes path;
        if (!rs_trunk_between(a, 0, a->trunk->chain[a->trunk->n_chain - 1], true, &path, err))
                return false;
        s->trainable = path.n > 0;
        for (size_t i = 0; i < path.n; i++) {
                const rs_node *n = path.at[i];
                const rs_op *op = rs_op_of(a->model, n, NULL);
                s->trainable &= op && (op->backward || op->view);
        }
        return true;
}

static void
ignore(void *ctx, const rs_node *n, const char *msg)
{
        (void)ctx, (void)n,
                (void)msg; /* the checker's business; here what is unknown stays unknown */
}

/* Types, with the open sizes of the picture as given; the model is as before afterwards. */
static bool
make_types(resect_anatomy *a, int64_t height, int64_t width, resect_error *err)
{
        const char *picture = rs_trunk_picture(a->model);
        rs_value *v = picture ? rs_graph_find_input(&a->model->graph, picture) : NULL;
        if (!v || v->rank != 4 || height < 1 || width < 1)
                return rs_types_make(&a->types, a->model, ignore, NULL, err);
        bool last = (v->dims[3] == 1 || v->dims[3] == 3) && v->dims[1] != 1 && v->dims[1] != 3;
        int64_t *dims = v->dims, sized[4] = {dims[0], dims[1], dims[2], dims[3]};
        int h = last ? 1 : 2;
        sized[h] = dims[h] < 0 ? height : dims[h];
        sized[h + 1] = dims[h + 1] < 0 ? width : dims[h + 1];
        v->dims = sized;
        bool ok = rs_types_make(&a->types, a->model, ignore, NULL, err);
        v->dims = dims;
        return ok;
}

static bool
find(resect_anatomy *a, int64_t height, int64_t width, resect_error *err)
{
        a->trunk = RS_NEW(&a->arena, 1, struct rs_trunk, err);
        if (!a->trunk || !rs_graph_sort(a->model, err) ||
                !rs_index_make(&a->index, &a->model->graph, err) ||
                !make_types(a, height, width, err))
                return false;
        if (!rs_trunk_make(a, err) || !rs_anatomy_blocks(a, err) || !rs_anatomy_tail(a, err) ||
                !rs_anatomy_stages(a, err) || !rs_anatomy_names(a, err) || !describe_nodes(a, err))
                return false;
        rs_anatomy_count(a);
        rs_anatomy_family(a);
        describe_input(a);
        describe_tail(a);
        return true;
}

resect_anatomy *
resect_anatomy_find_at(resect_model *m, int64_t height, int64_t width, resect_error *err)
{
        resect_anatomy *a = rs_alloc(1, sizeof *a, err);
        if (!a)
                return NULL;
        a->model = m;
        if (!find(a, height, width, err)) {
                resect_anatomy_free(a);
                return NULL;
        }
        return a;
}

resect_anatomy *
resect_anatomy_find(resect_model *m, resect_error *err)
{
        return resect_anatomy_find_at(m, 0, 0, err);
}

void
resect_anatomy_free(resect_anatomy *a)
{
        if (!a)
                return;
        if (a->trunk)
                rs_map_free(&a->trunk->numbers);
        rs_map_free(&a->tensors);
        rs_index_free(&a->index);
        rs_types_free(&a->types);
        rs_arena_free(&a->arena);
        rs_free(a);
}

const resect_summary *
resect_anatomy_summary(const resect_anatomy *a)
{
        return &a->summary;
}

size_t
resect_anatomy_part_count(const resect_anatomy *a)
{
        return a->n_parts;
}

const resect_part *
resect_anatomy_part(const resect_anatomy *a, size_t i)
{
        return i < a->n_parts ? &a->parts[i] : NULL;
}

const resect_block *
resect_anatomy_block(const resect_anatomy *a, size_t i)
{
        return i < a->n_blocks ? &a->blocks[i].pub : NULL;
}

const char *
resect_anatomy_tensor_part(const resect_anatomy *a, const char *tensor)
{
        const rs_atensor *t = rs_map_get(&a->tensors, tensor);
        return t ? t->part : NULL;
}

const char *
resect_anatomy_tensor_canonical(const resect_anatomy *a, const char *tensor)
{
        const rs_atensor *t = rs_map_get(&a->tensors, tensor);
        return t ? t->canonical : NULL;
}

const char *
resect_anatomy_value_part(const resect_anatomy *a, const char *value)
{
        int v = rs_trunk_vertex(a, value);
        return v >= 0 && a->trunk->v[v].node >= 0 ? a->trunk->part[a->trunk->v[v].node] : NULL;
}

const rs_ablock *
rs_anatomy_block(const resect_anatomy *a, const char *name)
{
        for (size_t i = 0; i < a->n_blocks; i++)
                if (!strcmp(a->blocks[i].pub.name, name))
                        return &a->blocks[i];
        return NULL;
}

const rs_ablock *
rs_anatomy_last_block(const resect_anatomy *a, const char *name)
{
        const rs_ablock *b = rs_anatomy_block(a, name);
        size_t n = strlen(name);
        for (size_t i = 0; !b && i < a->n_blocks; i++)
                if (!strncmp(a->blocks[i].pub.name, name, n) && a->blocks[i].pub.name[n] == '.' &&
                        (i + 1 == a->n_blocks ||
                                a->blocks[i + 1].pub.stage != a->blocks[i].pub.stage))
                        return &a->blocks[i];
        return b;
}

static bool
is(const rs_node *n, const char *op)
{
        return n->domain[0] == '\0' && strcmp(n->op, op) == 0;
}

const char *
rs_anatomy_cut(const resect_anatomy *a, const rs_ablock *b)
{
        const rs_link *sum = b->pub.preactivation ? rs_index_find(&a->index, b->output) : NULL;
        for (const rs_use *u = sum ? sum->uses : NULL; u; u = u->next) {
                if (!is(u->node, "BatchNormalization") || u->slot != 0)
                        continue;
                const rs_link *norm = rs_index_find(&a->index, u->node->out[0]);
                for (const rs_use *v = norm ? norm->uses : NULL; v; v = v->next)
                        if (is(v->node, "Relu"))
                                return v->node->out[0];
        }
        return b->output;
}

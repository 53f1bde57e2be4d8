/* SPDX-License-Identifier: 0BSD */
/* What a trial came to, for programs. Figures are named as the verdict names them. */
#include "trial_json.h"

#include "cli.h"

static void
put(json_t *o, const char *key, json_t *value)
{
        json_object_set_new(o, key, value);
}

static void
put_real(json_t *o, const char *key, double x)
{
        put(o, key, cli_json_real(x));
}

static void
put_count(json_t *o, const char *key, uint64_t n)
{
        put(o, key, json_integer((json_int_t)n));
}

static json_t *
lines_json(const char *const *lines, size_t n)
{
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++)
                json_array_append_new(list, cli_json_text(lines[i]));
        return list;
}

static const char *
arm_name(const resect_trial *t, int arm)
{
        resect_trial_arm a;
        return arm >= 0 && resect_trial_arm_at(t, (size_t)arm, &a) ? a.name : NULL;
}

static json_t *
verdict_json(const resect_trial *t, const resect_verdict *v)
{
        static const char *const kinds[] = {"proven", "cheaper", "learned", "cannot tell"},
                                 *const transfers[] = {
                                         "unknown", "advantage", "none shown", "harm"};
        json_t *o = json_object();
        put(o, "kind", cli_json_text(kinds[v->kind]));
        put(o, "transfer", cli_json_text(transfers[v->transfer]));
        put(o, "use", cli_json_text(arm_name(t, v->chosen)));
        put(o, "best_by_validation", cli_json_text(arm_name(t, v->winner)));
        put(o, "best_simple", cli_json_text(arm_name(t, v->simple)));
        put(o, "best_pretrained", cli_json_text(arm_name(t, v->pretrained)));
        put(o, "headline", cli_json_text(v->headline));
        put(o, "lines", lines_json(v->lines, v->n_lines));
        put(o, "warnings", lines_json(v->warnings, v->n_warnings));
        put_real(o, "chance", v->chance);
        if (v->depths) {
                put_count(o, "probe_depths", v->depths);
                put_real(o, "probe_rho", v->rho);
                put_real(o, "probe_tau", v->tau);
        }
        return o;
}

/* A share with its interval, or a difference. */
static json_t *
range_json(const resect_crossed *c)
{
        json_t *o = json_object();
        put_real(o, "value", c->value);
        put_real(o, "low", c->low);
        put_real(o, "high", c->high);
        return o;
}

static json_t *
cells_json(const resect_trial *t, const resect_verdict *v, size_t arm)
{
        json_t *list = json_array();
        for (size_t f = 0; f < v->fractions; f++) {
                const resect_verdict_cell *c = &v->cells[arm * v->fractions + f];
                json_t *o = json_object();
                if (!c->runs) {
                        json_decref(o);
                        continue;
                }
                put_real(o, "fraction", resect_trial_fraction(t, f));
                put_real(o, "pictures", c->pictures);
                put_count(o, "runs", c->runs);
                put(o, "right", range_json(&c->test));
                put_real(o, "spread", c->test.spread);
                put_real(o, "validation", c->val);
                json_array_append_new(list, o);
        }
        return list;
}

static json_t *
search_json(const resect_trial_arm *a)
{
        json_t *list = json_array();
        for (size_t k = 0; k < a->n_rates; k++) {
                json_t *o = json_object();
                put_real(o, "rate", a->rates[k]);
                put_real(o, "validation_loss", a->search_loss[k]); /* null: it diverged */
                json_array_append_new(list, o);
        }
        return list;
}

static json_t *
arm_json(const resect_trial *t, const resect_verdict *v, size_t i)
{
        resect_trial_arm a;
        const resect_verdict_arm *of = &v->of[i];
        json_t *o = json_object();
        if (!resect_trial_arm_at(t, i, &a))
                return o;
        put(o, "name", cli_json_text(a.name));
        put(o, "help", cli_json_text(a.help));
        put(o, "fractions", cells_json(t, v, i));
        put_real(o, "rate", a.lr);
        put(o, "rate_at_edge", json_boolean(a.lr_at_edge));
        put(o, "search", search_json(&a));
        if (!v->cells[i * v->fractions + v->fractions - 1].runs)
                return o;
        put_count(o, "passes", a.epochs);
        put_real(o, "search_seconds", a.search_seconds);
        if (a.macs)
                put_count(o, "multiplications", a.macs);
        put_count(o, "parameters", a.parameters);
        put_count(o, "trained", a.trained);
        put_real(o, "balanced", of->balanced);
        put_real(o, "macro_f1", of->macro_f1);
        put_real(o, "training", of->train);
        put(o, "gap", range_json(&of->gap));
        put(o, "overfits", json_boolean(of->overfits));
        put_real(o, "best_pass", of->best_epoch);
        put_real(o, "rise", of->rise);
        put_real(o, "calibration_error", of->ece);
        put_real(o, "test_loss", of->loss);
        put_real(o, "seconds", of->seconds);
        put_real(o, "points_per_second", of->points_per_second);
        put_real(o, "points_per_gmac", of->points_per_gmac);
        return o;
}

static json_t *
difference_json(const resect_crossed *c, double p, double corrected)
{
        json_t *o = range_json(c);
        put_real(o, "p", p);
        put_real(o, "p_corrected", corrected);
        put_real(o, "detectable", c->detectable);
        return o;
}

static json_t *
pairs_json(const resect_trial *t, const resect_verdict *v)
{
        json_t *list = json_array();
        for (size_t i = 0; i < v->n_pairs; i++) {
                const resect_verdict_pair *q = &v->pairs[i];
                json_t *o = json_object();
                put(o, "arm", cli_json_text(arm_name(t, (int)q->a)));
                put(o, "less", cli_json_text(arm_name(t, (int)q->b)));
                put_count(o, "seeds", q->seeds);
                put(o, "points", difference_json(&q->difference, q->difference.p, q->p));
                json_array_append_new(list, o);
        }
        return list;
}

static json_t *
lead_json(const resect_trial *t, const resect_verdict *v)
{
        json_t *list = json_array();
        for (size_t f = 0; v->lead && f < v->fractions; f++) {
                if (!v->lead_seeds[f])
                        continue;
                json_t *o = json_object();
                put_real(o, "fraction", resect_trial_fraction(t, f));
                put_count(o, "seeds", v->lead_seeds[f]);
                put(o, "points", range_json(&v->lead[f]));
                json_array_append_new(list, o);
        }
        return list;
}

static json_t *
restarts_json(const resect_trial *t, const resect_verdict *v)
{
        static const char *const keys[2] = {"less_start", "less_steady"};
        if (!v->restarts)
                return json_null();
        json_t *o = json_object();
        put(o, "arm", cli_json_text(arm_name(t, v->restart_arm)));
        put_count(o, "seeds", v->restarts);
        for (int k = 0; k < 2; k++) {
                json_t *points = range_json(&v->restart[k]);
                put_real(points, "p_corrected", v->restart_p[k]);
                put_real(points, "detectable", v->restart[k].detectable);
                put(o, keys[k], points);
        }
        return o;
}

static json_t *
run_json(const resect_trial *t, const resect_trial_run *r)
{
        json_t *o = json_object();
        double hits = 0, loss = 0;
        for (size_t k = 0; k < r->n_test; k++) {
                hits += r->test[k].rank == 0;
                loss += r->test[k].loss;
        }
        put(o, "arm", cli_json_text(arm_name(t, (int)r->arm)));
        put_real(o, "fraction", resect_trial_fraction(t, r->fraction));
        put_count(o, "seed", resect_trial_seed(t, r->seed));
        put_count(o, "pictures", r->n_train);
        put_real(o, "rate", r->lr);
        put_count(o, "passes", r->n_epochs);
        put_count(o, "best_pass", r->best_epoch);
        put(o, "broke_down", json_boolean(r->diverged));
        put_real(o, "training", r->train.top1);
        put_real(o, "validation", r->val.top1);
        put_real(o, "test_top1", r->n_test ? hits / (double)r->n_test : 0);
        put_real(o, "test_loss", r->n_test ? loss / (double)r->n_test : 0);
        put_real(o, "seconds", r->seconds);
        return o;
}

static json_t *
data_json(const resect_trial *t, const resect_verdict *v)
{
        const resect_data *d = resect_trial_data(t);
        const resect_split test = resect_trial_test_split(t);
        json_t *o = json_object(), *classes = json_array(), *notes = json_array(),
               *matrix = json_array(), *worst = json_array();
        put_count(o, "test_pictures", v->pictures);
        for (size_t c = 0; c < v->classes; c++) {
                json_t *row = json_array();
                json_array_append_new(classes, cli_json_text(resect_data_class(d, c)));
                for (size_t k = 0; k < v->classes; k++)
                        json_array_append_new(
                                row, json_integer((json_int_t)v->confusion[c * v->classes + k]));
                json_array_append_new(matrix, row);
        }
        for (size_t i = 0; resect_data_note(d, i); i++)
                json_array_append_new(notes, cli_json_text(resect_data_note(d, i)));
        for (size_t i = 0; i < v->n_worst; i++)
                json_array_append_new(worst, cli_json_text(resect_data_name(d, test, v->worst[i])));
        put(o, "classes", classes);
        put(o, "notes", notes);
        put_count(o, "skipped", resect_data_skipped_count(d));
        put(o, "confusion", matrix);
        put(o, "mistakes", worst);
        return o;
}

static json_t *
settings_json(const resect_trial *t)
{
        char model[65], data[65];
        const char *name, *value;
        json_t *o = json_object();
        for (size_t i = 0; resect_trial_setting(t, i, &name, &value); i++)
                put(o, name, cli_json_text(value));
        resect_trial_digests(t, model, data);
        put(o, "model_sha256", cli_json_text(model));
        put(o, "data_sha256", cli_json_text(data));
        put(o, "resect", cli_json_text(resect_version()));
        return o;
}

json_t *
trial_json(const resect_trial *t, const resect_verdict *v)
{
        json_t *o = json_object(), *arms = json_array(), *runs = json_array(),
               *notes = json_array();
        resect_trial_run r;
        for (size_t i = 0; i < v->arms; i++)
                json_array_append_new(arms, arm_json(t, v, i));
        for (size_t i = 0; resect_trial_run_at(t, i, &r); i++)
                json_array_append_new(runs, run_json(t, &r));
        for (size_t i = 0; resect_trial_note(t, i); i++)
                json_array_append_new(notes, cli_json_text(resect_trial_note(t, i)));
        put(o, "verdict", verdict_json(t, v));
        put(o, "arms", arms);
        put(o, "differences", pairs_json(t, v));
        put(o, "lead", lead_json(t, v));
        put(o, "restarts", restarts_json(t, v));
        put(o, "runs", runs);
        put(o, "data", data_json(t, v));
        put(o, "notes", notes);
        put(o, "settings", settings_json(t));
        return o;
}

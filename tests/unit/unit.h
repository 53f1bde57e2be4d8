/* SPDX-License-Identifier: 0BSD */
/* What every unit test shares: a main around one suite, and the path to shared real data. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* UNIT_MAIN("map", put_get, grow): a suite of START_TEST functions; exit 0 when all pass. */
#define UNIT_MAIN(name, ...)                                                                                                     \
        int main(void)                                                                                                           \
        {                                                                                                                        \
                const TTest *const tests[] = {__VA_ARGS__};                                                                      \
                Suite *s = suite_create(name);                                                                                   \
                TCase *c = tcase_create("all");                                                                                  \
                tcase_set_timeout(c, 300);                                                                                       \
                for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)                                                        \
                        tcase_add_test(c, tests[i]);                                                                             \
                suite_add_tcase(s, c);                                                                                           \
                SRunner *r = srunner_create(s);                                                                                  \
                srunner_run_all(r, CK_NORMAL);                                                                                   \
                int failed = srunner_ntests_failed(r);                                                                           \
                srunner_free(r);                                                                                                 \
                return failed ? EXIT_FAILURE : EXIT_SUCCESS;                                                                     \
        }

/* Fails with the library's own message. */
#define CK_OK(call, err) ck_assert_msg((call), "%s: %s: %s", #call, resect_code_name((err).code), (err).msg)

#endif

# SPDX-License-Identifier: 0BSD
# Shell tests. check.sh is what they share.
EXTRA_DIST += tests/cli/check.sh
dist_check_SCRIPTS += tests/check-exports tests/check-layers
dist_check_SCRIPTS += tests/cli/resect.sh
dist_check_SCRIPTS += tests/cli/look.sh
dist_check_SCRIPTS += tests/cli/tools.sh
dist_check_SCRIPTS += tests/cli/io_faults.sh
dist_check_SCRIPTS += tests/cli/cut_input.sh
dist_check_SCRIPTS += tests/cli/tune.sh
dist_check_SCRIPTS += tests/cli/fast.sh
dist_check_SCRIPTS += tests/cli/probe.sh
dist_check_SCRIPTS += tests/cli/see.sh
tests/cli/tune.log tests/cli/fast.log tests/cli/probe.log tests/cli/see.log: tests/unit/test_train$(EXEEXT)
dist_check_SCRIPTS += tests/cli/adapt.sh
tests/cli/adapt.log: tests/unit/test_adapt$(EXEEXT)
dist_check_SCRIPTS += tests/cli/convert.sh
dist_check_SCRIPTS += tests/cli/convert101.sh
dist_check_SCRIPTS += tests/cli/edits.sh
dist_check_SCRIPTS += tests/cli/trial.sh
dist_check_SCRIPTS += tests/cli/trial_real.sh
tests/cli/trial.log: tests/unit/test_train$(EXEEXT)

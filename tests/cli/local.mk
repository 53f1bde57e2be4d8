# SPDX-License-Identifier: 0BSD
# Shell tests. check.sh is what they share. Programs that they run are built before any test is, so that no log depends on one.
EXTRA_DIST += tests/cli/check.sh
dist_check_SCRIPTS += tests/check-exports tests/check-layers
dist_check_SCRIPTS += tests/cli/resect.sh
dist_check_SCRIPTS += tests/cli/look.sh
dist_check_SCRIPTS += tests/cli/tools.sh
dist_check_SCRIPTS += tests/cli/io_faults.sh
dist_check_SCRIPTS += tests/cli/cut_input.sh
dist_check_SCRIPTS += tests/cli/fast.sh
dist_check_SCRIPTS += tests/cli/probe.sh
dist_check_SCRIPTS += tests/cli/see.sh
dist_check_SCRIPTS += tests/cli/adapt.sh
dist_check_SCRIPTS += tests/cli/convert101.sh
dist_check_SCRIPTS += tests/cli/edits.sh
dist_check_SCRIPTS += tests/cli/cast.sh
dist_check_SCRIPTS += tests/cli/threads.sh
dist_check_SCRIPTS += tests/cli/json.sh
dist_check_SCRIPTS += tests/cli/trial.sh
dist_check_SCRIPTS += tests/cli/trial_real.sh

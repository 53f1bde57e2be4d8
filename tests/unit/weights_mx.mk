# SPDX-License-Identifier: 0BSD
CKPT = tests/unit/ckpt.h tests/unit/scratch.h tests/unit/unit.h
check_PROGRAMS += tests/unit/test_weights_mxnet
tests_unit_test_weights_mxnet_SOURCES = tests/unit/test_weights_mxnet.c $(CKPT)
tests_unit_test_weights_mxnet_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_caffe
tests_unit_test_weights_caffe_SOURCES = tests/unit/test_weights_caffe.c $(CKPT)
tests_unit_test_weights_caffe_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_said
tests_unit_test_weights_said_SOURCES = tests/unit/test_weights_said.c $(CKPT)
tests_unit_test_weights_said_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_ncnn
tests_unit_test_weights_ncnn_SOURCES = tests/unit/test_weights_ncnn.c tests/unit/forms.c tests/unit/forms_int8.c tests/unit/forms.h $(CKPT)
tests_unit_test_weights_ncnn_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_mx_names
tests_unit_test_weights_mx_names_SOURCES = tests/unit/test_weights_mx_names.c tests/unit/unit.h
tests_unit_test_weights_mx_names_LDADD = $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_weights_det1
tests_unit_test_weights_det1_SOURCES = tests/unit/test_weights_det1.c tests/unit/unit.h
tests_unit_test_weights_det1_LDADD = $(UNIT_LIBS)

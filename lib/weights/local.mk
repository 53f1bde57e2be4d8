# SPDX-License-Identifier: 0BSD
libcore_la_SOURCES += \
	lib/weights/caffe.c lib/weights/caffe.h \
	lib/weights/caffe_write.c \
	lib/weights/checkpoint.c lib/weights/weights.h \
	lib/weights/convert.c lib/weights/convert.h \
	lib/weights/derive.c \
	lib/weights/detectron.c \
	lib/weights/flax.c lib/weights/flax.h \
	lib/weights/flax_write.c \
	lib/weights/format.c lib/weights/formats.h \
	lib/weights/graph.c \
	lib/weights/h5.c lib/weights/h5.h \
	lib/weights/h5_answer.c \
	lib/weights/h5_child.c \
	lib/weights/h5_lib.c lib/weights/h5_lib.h \
	lib/weights/h5_write.c \
	lib/weights/into.c \
	lib/weights/json.c lib/weights/json.h \
	lib/weights/keras_config.c lib/weights/keras_config.h \
	lib/weights/keras_zip.c \
	lib/weights/msgpack.c lib/weights/msgpack.h \
	lib/weights/names_flax.c \
	lib/weights/names_hf.c \
	lib/weights/names_keras.c \
	lib/weights/names_slim.c \
	lib/weights/names_timm.c \
	lib/weights/mxnet.c \
	lib/weights/mxnet_symbol.c lib/weights/mxnet_symbol.h \
	lib/weights/names_caffe.c \
	lib/weights/names_gluon.c \
	lib/weights/names_ncnn.c \
	lib/weights/names_paddle.c \
	lib/weights/names.h lib/weights/names_torchvision.c \
	lib/weights/ncnn.c lib/weights/ncnn.h lib/weights/ncnn_graph.c \
	lib/weights/npz.c \
	lib/weights/paddle.c \
	lib/weights/permute.c \
	lib/weights/pickle.c lib/weights/pickle.h lib/weights/pickle_ops.h lib/weights/pickle_vm.h lib/weights/known.h \
	lib/weights/pickle_call.c \
	lib/weights/pickle_numpy.c \
	lib/weights/pickle_text.c lib/weights/pickle_text.h \
	lib/weights/pickle_tree.c \
	lib/weights/pickle_write.c \
	lib/weights/prove.c \
	lib/weights/recognise.c \
	lib/weights/safetensors.c \
	lib/weights/scheme.c lib/weights/schemes.h \
	lib/weights/set.c lib/weights/set.h \
	lib/weights/set_model.c \
	lib/weights/sstable.c lib/weights/sstable.h \
	lib/weights/tf.c lib/weights/tf.h \
	lib/weights/tf_slices.c \
	lib/weights/tf_v1.c \
	lib/weights/tf_words.c \
	lib/weights/tf_write.c \
	lib/weights/torch.c lib/weights/torch.h \
	lib/weights/torch_tensor.c \
	lib/weights/variant.c \
	lib/weights/write.c

/* SPDX-License-Identifier: 0BSD */
/* resect: cut, graft, run, fine-tune and judge ONNX residual networks. This header includes all others. */
#ifndef RESECT_H
#define RESECT_H

#include "resect/error.h"
#include "resect/tensor.h"
#include "resect/model.h"
#include "resect/look.h"
#include "resect/plan.h"
#include "resect/data.h"
#include "resect/edit.h"
#include "resect/train.h"
#include "resect/features.h"
#include "resect/study.h"
#include "resect/probe.h"
#include "resect/trial.h"
#include "resect/verdict.h"
#include "resect/weights.h"
#include "resect/view.h"
#include "resect/see.h"
#include "resect/adapt.h"

#endif

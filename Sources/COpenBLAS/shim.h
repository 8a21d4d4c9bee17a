// CBLAS and OpenBLAS' own thread control, as libopenblas-dev installs them. Only Trainer imports this.
#pragma once
#include <cblas.h>

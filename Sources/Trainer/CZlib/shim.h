// zlib, for reading IDX files that are packed by gzip. Only Trainer imports this.
#pragma once
#include <zlib.h>

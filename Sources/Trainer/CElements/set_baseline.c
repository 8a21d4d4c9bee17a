// What every processor of the architecture has.
#define SET baseline
#define SET_NAME "baseline"
#include "set.h"

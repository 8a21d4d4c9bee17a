#include "CPlatform.h" // all of it is inline; SwiftPM wants one source file in a C target

/* Elementary functions that give the same bits on every machine, for all that touches the data path: the C library's
 * differ from version to version and from processor to processor.
 *
 * Accuracy   (tested against long double) math_exp: relative 2e-7; math_sigmoid, math_tanh: absolute 3e-7, tanh also
 *            relative 3e-7; math_log: 2e-7 absolute or relative, whichever is larger.
 * Range      math_exp saturates at e^-87 and e^88; math_log(0) is -88 (below the smallest normal float: that of the
 *            smallest), math_log of a negative number is NaN; infinities act like the largest finite numbers.
 * NaN        stays NaN.
 * Threads    reentrant. */
#ifndef ENGINE_MATH_ACTIVATIONS_H
#define ENGINE_MATH_ACTIVATIONS_H

/* The order is that of the option `activation` ("identity|tanh|relu|sigmoid"). */
enum activation { ACTIVATION_IDENTITY, ACTIVATION_TANH, ACTIVATION_RELU, ACTIVATION_SIGMOID };

float math_exp(float x);
float math_log(float x);
float math_tanh(float x);
float math_sigmoid(float x);
float math_softplus(float x); /* log(1 + e^x), without overflow */

#endif

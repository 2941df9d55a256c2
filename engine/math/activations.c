#include "engine/math/activations.h"

#include <float.h>
#include <math.h>

#include "engine/math/activations_inline.h"

float math_exp(float x)
{
    return act_exp(x);
}

float math_log(float x)
{
    if (x != x || x < 0) return NAN;
    if (x < FLT_MIN) return -88.0f;
    return act_log_normal(x > FLT_MAX ? FLT_MAX : x);
}

float math_tanh(float x)
{
    return act_tanh(x);
}

float math_sigmoid(float x)
{
    return act_sigmoid(x);
}

float math_softplus(float x)
{
    return (x > 0 ? x : 0) + math_log(1 + math_exp(x > 0 ? -x : x));
}

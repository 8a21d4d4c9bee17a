// Steps of the optimizers. Included by set.h.

ALWAYS_INLINE void step_of_momentum(
    float *parameters, float *velocities, const float *gradient, const ElementMomentumStep *step, size_t count, bool is_plain) {
    FOR_LANES(i, n, count, Lanes parameter = load(parameters + i, n), slope = load(gradient + i, n);
              if (!is_plain) slope = slope * step->gradient_scale + parameter * step->decay;
              Lanes velocity = load(velocities + i, n) * step->momentum + slope;
              store(velocities + i, velocity, n);
              if (!is_plain && step->is_nesterov) velocity = velocity * step->momentum + slope;
              store(parameters + i, parameter - velocity * step->rate, n));
}

static void update(float *parameters, float *velocities, const float *gradient, const ElementMomentumStep *step, size_t count) {
    if (step->gradient_scale == 1 && step->decay == 0 && !step->is_nesterov) {
        step_of_momentum(parameters, velocities, gradient, step, count, true);
    } else {
        step_of_momentum(parameters, velocities, gradient, step, count, false);
    }
}

static void update_adam(
    float *parameters, float *means, float *squares, const float *gradient, const ElementAdamStep *step, size_t count) {
    float rest = 1 - step->beta1, rest_of_squares = 1 - step->beta2, kept = 1 - step->rate * step->decay;
    float rate = step->rate * step->mean_correction;
    FOR_LANES(i, n, count, Lanes slope = load(gradient + i, n) * step->gradient_scale;
              Lanes mean = load(means + i, n) * step->beta1 + slope * rest;
              Lanes square = load(squares + i, n) * step->beta2 + slope * slope * rest_of_squares;
              store(means + i, mean, n); store(squares + i, square, n);
              Lanes root = __builtin_elementwise_sqrt(square * step->square_correction);
              store(parameters + i, load(parameters + i, n) * kept - mean * rate / (root + step->epsilon), n));
}

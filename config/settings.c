/* The root option table: every option of the pipeline itself is declared here and nowhere else.  The options of parts
 * stand beside the parts. */
#include "config/settings.h"

#define MS  1e6
#define S   (1e3 * MS)
#define DAY (86400 * S)
#define KIB 1024.0
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

#define AT(group, member) offsetof(struct group##_settings, member)

const char *const missing_policy_words[] = {
    [MISSING_LAST] = "last", [MISSING_FORECAST] = "forecast", [MISSING_SKIP] = "skip", NULL};

const char *const transform_words[] = {
    [TRANSFORM_NONE] = "none", [TRANSFORM_LOG] = "log", [TRANSFORM_LOG_RETURN] = "log_return", NULL};

const char *const network_input_words[] = {
    [INPUT_LEVEL] = "level",     [INPUT_DIFFERENCE] = "difference", [INPUT_KNOWN] = "known",
    [INPUT_ELAPSED] = "elapsed", [INPUT_CALENDAR] = "calendar",     [INPUT_CHANNEL] = "channel",
    [INPUT_SEASON] = "season",   [INPUT_CATEGORIES] = "categories", NULL};

static const struct eddy_option network_options[] = {
    {"layers", EDDY_OPT_PARTS, AT(network, layers), "[{gru: {units: 32}}]", 0, 0, "",
     "The layers of the network, bottom to top. Its output head is added by eddy.", NULL, EDDY_PART_LAYER, false},
    {"residual", EDDY_OPT_BOOL, AT(network, residual), "false", 0, 0, "",
     "Add the input of a layer to its output wherever both are equally wide.", NULL, 0, false},
    {"bias", EDDY_OPT_BOOL, AT(network, bias), "true", 0, 0, "", "Whether the output head has a bias.", NULL, 0,
     false},
    {"loss", EDDY_OPT_ENUM, AT(network, loss), "huber", 0, 0,
     "huber|squared|gaussian|student_t|quantiles|sigmoid|softmax",
     "What is minimised, and with it what the head says: huber and squared a point; gaussian and student_t a "
     "location "
     "and a scale; quantiles the bands themselves; sigmoid and softmax the probabilities of classes.",
     NULL, 0, false},
    {"delta", EDDY_OPT_REAL, AT(network, delta), "1", 1e-6, 1e6, "scales",
     "Loss huber: errors beyond this count in proportion, no longer squared.", NULL, 0, false},
    {"freedom", EDDY_OPT_REAL, AT(network, freedom), "5", 1, 1e6, "degrees",
     "Loss student_t: degrees of freedom; few of them expect outliers.", NULL, 0, false},
    {"quantiles", EDDY_OPT_REALS, AT(network, quantiles), "[0.05, 0.25, 0.5, 0.75, 0.95]", 1e-4, 0.9999, "levels",
     "Loss quantiles: the levels that the head forecasts, ascending, 0.5 among them.", NULL, 0, false},
    {"classes", EDDY_OPT_STRINGS, AT(network, classes), "", 0, 0, "labels",
     "Losses sigmoid (two of them: no and yes) and softmax: the labels to tell apart.", NULL, 0, false},
    {"horizons", EDDY_OPT_RANGES, AT(network, horizons), "", 1, 1024, "steps ahead",
     "Some of forecast.horizons, if this network does not forecast all of them.", NULL, 0, false},
    {"inputs", EDDY_OPT_STRINGS, AT(network, inputs), "", 0, 0, "words",
     "What the network reads: some of level, difference, known, elapsed, calendar, channel, season, categories. "
     "Unset: all that there is; but categories only below an embedding, which knows what their numbers mean, and no "
     "difference "
     "if the network has a lag: it would tell the value that must not be seen.",
     NULL, 0, false},
    {"scope", EDDY_OPT_ENUM, AT(network, scope), "forecast", 0, 0, "forecast|shared|key",
     "Whose weights: as forecast.scope says, one set for all keys, or one per key.", NULL, 0, false},
    {"learns", EDDY_OPT_BOOL, AT(network, learns), "true", 0, 0, "",
     "false leaves the weights as they were drawn: a reservoir, whose hidden outputs an expert such as rls reads, "
     "and "
     "which then never change their meaning.",
     NULL, 0, false},
    {"score", EDDY_OPT_ENUM, AT(network, score), "apart", 0, 0, "apart|reconstruction",
     "A network with a lag (bidirectional, masked_encoder): its verdict on the event that it looks back at rides in "
     "the "
     "record as smoothed.score (apart), or enters the record's score as well (reconstruction).",
     NULL, 0, false},
    {0},
};

static const struct eddy_option scaling_options[] = {
    {"kind", EDDY_OPT_ENUM, AT(scaling, kind), "robust", 0, 0, "robust|fixed",
     "robust follows each key's own level and differences; fixed uses `mean` and `deviation` as they are given.",
     NULL, 0, false},
    {"mean", EDDY_OPT_MAP, AT(scaling, mean), "", 0, 0, "",
     "Kind fixed: what is subtracted, by value name, or `default` for all others; 0 where nothing is said.", NULL, 0,
     false},
    {"deviation", EDDY_OPT_MAP, AT(scaling, deviation), "", 0, 0, "",
     "Kind fixed: what is divided by, by value name, or `default` for all others; 1 where nothing is said.", NULL, 0,
     false},
    {0},
};

static const struct eddy_option mix_options[] = {
    {"kind", EDDY_OPT_ENUM, AT(mix, kind), "hedge", 0, 0, "hedge|stack|both",
     "hedge weighs experts by their losses; stack fits weights to the values, so that experts that err differently "
     "make up for each other; both takes the mean, which is best where memory allows 100 bytes per pair of experts.",
     NULL, 0, false},
    {"shrink", EDDY_OPT_REAL, AT(mix, shrink), "0", 0, 100, "standard errors",
     "How significant the gain over the last value must be before it is forecast in full: 2 makes random walks stay "
     "with the last value; 0 does not ask.",
     NULL, 0, false},
    {"stack_discount", EDDY_OPT_REAL, AT(mix, stack_discount), "0.9995", 0.5, 0.99999, "per step",
     "Kinds stack and both: how long the past counts for the fitted weights.", NULL, 0, false},
    {"extreme", EDDY_OPT_REAL, AT(mix, extreme), "8", 0, 1e6, "scales",
     "Kinds stack and both: values this far from their usual place have weights of their own; 0: none have.", NULL, 0,
     false},
    {"discount", EDDY_OPT_REAL, AT(mix, discount), "0.998", 0.5, 0.99999, "per step",
     "How long past losses count: 0.998 remembers some 500 steps, 0.99 follows changes faster and noise with them.",
     NULL, 0, false},
    {"rate", EDDY_OPT_REAL, AT(mix, rate), "0.02", 0, 100, "",
     "How sharply weights follow losses; 0 weighs all experts equally.", NULL, 0, false},
    {"floor", EDDY_OPT_REAL, AT(mix, floor), "0.001", 0, 1, "share",
     "Spread evenly over all experts, so that none is ever lost.", NULL, 0, false},
    {"start", EDDY_OPT_INT, AT(mix, start), "50", 0, 1e6, "labels",
     "Labels of a value before its weights may differ.", NULL, 0, false},
    {"prior", EDDY_OPT_REAL, AT(mix, prior), "0", 0, 1e6, "labels",
     "A key begins with the weights that experts have deserved in all keys of its age, per partition; they count for "
     "as "
     "much as so many labels of its own. For fleets in which keys come and go; 0: with equal weights.",
     NULL, 0, false},
    {"loss_limit", EDDY_OPT_REAL, AT(mix, loss_limit), "10", 1, 1e6, "mean squared errors",
     "A label costs an expert at most so much: less, and a jump says nothing about who is better; more, and weights "
     "follow those who foresee jumps.",
     NULL, 0, false},
    {"jump", EDDY_OPT_REAL, AT(mix, jump), "5", 1, 1e6, "usual errors",
     "With a stack, shrink or prior: labels that all miss by more than this count less, the further the less.", NULL,
     0, false},
    {"ridge", EDDY_OPT_REAL, AT(mix, ridge), "50", 0, 1e6, "steps",
     "Kinds stack and both: fitted weights are drawn to equal ones as though so many steps had asked for them. More "
     "is "
     "steadier where experts say nearly the same.",
     NULL, 0, false},
    {"stack_start", EDDY_OPT_INT, AT(mix, stack_start), "200", 1, 1e9, "steps",
     "Kinds stack and both: fitted weights count from here on; until then those by losses do.", NULL, 0, false},
    {"shrink_start", EDDY_OPT_INT, AT(mix, shrink_start), "300", 1, 1e9, "steps",
     "With shrink: until here a key's forecasts are not shrunk, as too little is known.", NULL, 0, false},
    {"shrink_discount", EDDY_OPT_REAL, AT(mix, shrink_discount), "0.9999", 0.5, 0.9999999, "per step",
     "With shrink: how long past gains over the last value count; 0.9999 remembers some 10,000 steps.", NULL, 0,
     false},
    {"extreme_prior", EDDY_OPT_REAL, AT(mix, extreme_prior), "30", 0, 1e9, "steps",
     "With shrink and extreme: the gain in usual rows counts for so many steps of extreme ones.", NULL, 0, false},
    {"prior_ridge", EDDY_OPT_REAL, AT(mix, prior_ridge), "50", 0, 1e9, "labels",
     "With prior: what all keys have shown is drawn to equal weights as though so many labels had asked for them.",
     NULL, 0, false},
    {"prior_rate", EDDY_OPT_REAL, AT(mix, prior_rate), "0.0002", 0, 0.5, "per label",
     "With prior: how fast what all keys have shown is forgotten; 0.0002 remembers some 5,000 labels of an age.",
     NULL, 0, false},
    {"horizons", EDDY_OPT_ENUM, AT(mix, horizons), "grouped", 0, 0, "grouped|together",
     "grouped: horizons that lie as far ahead as each other (1, 2, 3-4, 5-8, 9-16 and so on) share their weights; "
     "together: all horizons do.",
     NULL, 0, false},
    {0},
};

static const struct eddy_option moves_options[] = {
    {"flat", EDDY_OPT_REAL, AT(moves, flat), "0", 0, 1e300, "",
     "A move of less counts as flat: in the value's own unit, or as a share of it where transform is log or "
     "log_return "
     "(0.01 = 1 %). 0 = no probabilities of moves.",
     NULL, 0, false},
    {0},
};

static const struct eddy_option forecast_options[] = {
    {"horizons", EDDY_OPT_RANGES, AT(forecast, horizons), "[1]", 1, 1024, "steps ahead",
     "How far to look ahead: numbers and ranges, at most 512 of them.", NULL, 0, false},
    {"channels", EDDY_OPT_ENUM, AT(forecast, channels), "independent", 0, 0, "independent|joint",
     "Several values in a record: independent gives each a state of its own under the same weights, joint makes one "
     "vector of them.",
     NULL, 0, false},
    {"profile", EDDY_OPT_ENUM, AT(forecast, profile), "none", 0, 0, "none|fleet|best",
     "Sets networks, experts and their constants together: fleet for many keys in a few kilobytes each, best for the "
     "smallest errors. Whatever else is written still wins.",
     NULL, 0, false},
    {"scope", EDDY_OPT_ENUM, AT(forecast, scope), "shared", 0, 0, "shared|key",
     "Whose weights: one set for all keys (fleets), or one per key (a few important series; needs train.mode inline "
     "or off).",
     NULL, 0, false},
    {"network", EDDY_OPT_GROUP, AT(forecast, network), "", 0, 0, "", "The network that forecasts.", network_options,
     0, false},
    {"networks", EDDY_OPT_GROUPS, AT(forecast, networks), "", 0, 0, "",
     "Several networks instead of one: a map from names to what `network` takes. Experts and detectors refer to them "
     "by "
     "name.",
     network_options, sizeof(struct network_settings), false},
    {"experts", EDDY_OPT_PARTS, AT(forecast, experts), "", 0, 0, "",
     "Who forecasts; several are mixed per value, by how well they have done. Unset: the networks.", NULL,
     EDDY_PART_EXPERT, false},
    {"mix", EDDY_OPT_GROUP, AT(forecast, mix), "", 0, 0, "", "How the forecasts of several experts are weighed.",
     mix_options, 0, false},
    {"share_every", EDDY_OPT_INT, AT(forecast, share_every), "256", 1, 1e6, "offsets",
     "How far apart the boundaries are at which experts with a model for all keys learn, such as fleet; never "
     "further "
     "than 4 offsets in a partition's first 64, 16 in its first 1024, 64 in its first 8192.",
     NULL, 0, false},
    {"scaling", EDDY_OPT_GROUP, AT(forecast, scaling), "", 0, 0, "", "How values are scaled for the networks.",
     scaling_options, 0, false},
    {"anchor", EDDY_OPT_ENUM, AT(forecast, anchor), "season", 0, 0, "last|season|none",
     "What a network's outputs are added to: the last value; season adds what the course of the season brings from "
     "there; or with scaling fixed the mean alone (none), as in models that were trained elsewhere.",
     NULL, 0, false},
    {"season", EDDY_OPT_STRING, AT(forecast, season), "auto", 0, 0, "",
     "How long a season is: a number of steps (24), a duration of event time (24h), none, or auto: a cycle of up to "
     "128 "
     "steps that is found in the key's own past (1 kB per key), else a day for events up to 4 hours apart, a week up "
     "to "
     "2 days, a year up to 45 days. Cycles are looked for where networks or experts read the season; where detectors "
     "alone do it is the calendar's.",
     NULL, 0, false},
    {"bands", EDDY_OPT_REALS, AT(forecast, bands), "[0.5, 0.9]", 0, 1, "share of values inside",
     "Prediction bands: central coverages above 0 and below 1, ascending. The widest is written out.", NULL, 0,
     false},
    {"calendar", EDDY_OPT_BOOL, AT(forecast, calendar), "true", 0, 0, "",
     "Hour of day and day of week, from the event time, as inputs of the network.", NULL, 0, false},
    {"missing", EDDY_OPT_MAP, AT(forecast, missing), "", 0, 0, "",
     "What stands in for a missing value, by value name, or `default` for all others: last (the last value seen), "
     "forecast (what was expected), or skip (the series does not step).",
     NULL, 0, false},
    {"band_rate", EDDY_OPT_REAL, AT(forecast, band_rate), "0", 0, 1, "per label",
     "How fast the bands' quantiles follow; 0 = 0.03, or with volatility 0.01 over the root of the horizon.", NULL, 0,
     false},
    {"band_scale_rate", EDDY_OPT_REAL, AT(forecast, band_scale_rate), "0.01", 1e-5, 1, "per label",
     "How fast the bands' width follows the size of errors. Faster widens them sooner after a lively spell begins, "
     "and "
     "makes them restless.",
     NULL, 0, false},
    {"volatility", EDDY_OPT_ENUM, AT(forecast, volatility), "none", 0, 0, "none|ewma",
     "ewma: bands are as wide as the value has been restless of late, and grow with the root of the horizon: for "
     "prices. 24 bytes per value.",
     NULL, 0, false},
    {"transform", EDDY_OPT_MAP, AT(forecast, transform), "", 0, 0, "none|log|log_return",
     "What is forecast and judged in place of the value: its logarithm (log), for values that change by shares of "
     "themselves; log_return: networks and detectors see its changes alone, for prices. One word, or a map by value "
     "name, `default` for the others. Values that are not above 0 then count as missing.",
     NULL, 0, false},
    {"moves", EDDY_OPT_GROUP, AT(forecast, moves), "", 0, 0, "",
     "How likely each value moves down, stays flat or moves up, at every horizon, out of the bands.", moves_options,
     0, false},
    {0},
};

static const struct eddy_option incident_options[] = {
    {"min_count", EDDY_OPT_INT, AT(incident, min_count), "1", 1, 1e6, "events",
     "An incident opens when the evidence has reached the threshold so many events in a row, an alert among them.",
     NULL, 0, false},
    {"hysteresis", EDDY_OPT_REAL, AT(incident, hysteresis), "0.65", 0.01, 1, "share of the threshold",
     "Events whose evidence reaches this belong to an open incident.", NULL, 0, false},
    {"quiet", EDDY_OPT_INT, AT(incident, quiet), "8", 1, 1e6, "events",
     "An incident closes after so many events in a row that do not belong to it.", NULL, 0, false},
    {"hold", EDDY_OPT_DURATION, AT(incident, hold), "0", 0, 36500 * DAY, "of event time",
     "It stays open for at least so long after the last event that belongs to it.", NULL, 0, false},
    {"repeat", EDDY_OPT_INT, AT(incident, repeat), "24", 0, 1e9, "events",
     "An alert so soon after the closing opens the same incident again instead of a new one.", NULL, 0, false},
    {"accept", EDDY_OPT_INT, AT(incident, accept), "800", 0, 1e9, "events",
     "An incident of the score that has been open for longer is the new normal: it closes, and the next one waits "
     "for "
     "quiet. 0 never accepts.",
     NULL, 0, false},
    {"ongoing", EDDY_OPT_DURATION, AT(incident, ongoing), "1d", 0, 36500 * DAY, "of event time",
     "An open incident is told of again after so long; 0 tells of opening and closing only.", NULL, 0, false},
    {"sink", EDDY_OPT_PART, AT(incident, sink), "", 0, 0, "",
     "Where incidents go as records of their own, such as {kafka: {topic: incidents}}. Without it they stand in the "
     "results, as the list incidents.",
     NULL, EDDY_PART_SINK, false},
    {0},
};

static const struct eddy_option silence_options[] = {
    {"keys", EDDY_OPT_INT, AT(silence, keys), "0", 0, 1e7, "keys",
     "How many keys of a partition are watched for silence, the first ones that come: a key that stops sending while "
     "others go on, by event time, is an incident of kind silence. It has no record of its own, so it goes to "
     "detect.incidents.sink alone. 80 bytes and the key's text each, in memory and in checkpoints. 0 = nobody is "
     "watched.",
     NULL, 0, false},
    {"factor", EDDY_OPT_REAL, AT(silence, factor), "8", 1, 1e6, "usual intervals",
     "A key is silent after so long without an event, and after twice its longest silence so far.", NULL, 0, false},
    {"events", EDDY_OPT_INT, AT(silence, events), "20", 3, 1e9, "events", "Events of a key before it is watched.",
     NULL, 0, false},
    {0},
};

static const struct eddy_option detect_options[] = {
    {"sensitivity", EDDY_OPT_ENUM, AT(detect, sensitivity), "normal", 0, 0, "low|normal|high",
     "How much it takes: sets detect.threshold, which still wins when it is written. Moves the detectors exceedance, "
     "committee (all members but stuck and miss), machine, chart, drift and level_shift together; stuck, missing and "
     "silence have options of their own.",
     NULL, 0, false},
    {"threshold", EDDY_OPT_REAL, AT(detect, threshold), "0.4", 1e-6, 1, "score",
     "A record is an anomaly when its score reaches this. Limits of committee, machine, drift and level_shift are "
     "those of their options times threshold / 0.4, chart's times the square of it.",
     NULL, 0, false},
    {"warmup", EDDY_OPT_INT, AT(detect, warmup), "50", 0, 1e9, "events", "Events of a key before it is scored.", NULL,
     0, false},
    {"detectors", EDDY_OPT_PARTS, AT(detect, detectors), "[exceedance]", 0, 0, "",
     "What turns residuals into a score; the highest verdict counts.", NULL, EDDY_PART_DETECTOR, false},
    {"incidents", EDDY_OPT_GROUP, AT(detect, incidents), "", 0, 0, "",
     "Spans of trouble of a key: what opens and closes them.", incident_options, 0, false},
    {"silence", EDDY_OPT_GROUP, AT(detect, silence), "", 0, 0, "", "Keys that stop sending.", silence_options, 0,
     false},
    {0},
};

static const struct eddy_option train_options[] = {
    {"mode", EDDY_OPT_ENUM, AT(train, mode), "background", 0, 0, "background|inline|off",
     "background trains in a thread beside the stream, inline between two events, off never. All three give the same "
     "results live and replayed.",
     NULL, 0, false},
    {"every", EDDY_OPT_INT, AT(train, every), "8", 1, 4096, "events",
     "Events of a key between two of its training windows.", NULL, 0, false},
    {"window", EDDY_OPT_INT, AT(train, window), "48", 2, 4096, "steps",
     "Length of a training window; stretched to reach the largest horizon.", NULL, 0, false},
    {"optimiser", EDDY_OPT_ENUM, AT(train, optimiser), "adam", 0, 0, "adam|rmsprop|sgd",
     "How weights follow gradients: adam is good without tuning; rmsprop keeps no momentum; sgd follows "
     "the gradient itself, which suits few series: it leaves slow directions slow and needs learning_rate tuned.",
     NULL, 0, false},
    {"learning_rate", EDDY_OPT_REAL, AT(train, learning_rate), "2e-3", 1e-9, 10, "", "Step size of the optimiser.",
     NULL, 0, false},
    {"schedule", EDDY_OPT_ENUM, AT(train, schedule), "constant", 0, 0, "constant|warmup|inverse_sqrt|cosine|plateau",
     "How the learning rate changes with the optimiser's steps. constant suits most streams. warmup climbs to it "
     "over "
     "schedule_steps: for deep stacks and attention. inverse_sqrt then falls with the root of the steps, cosine "
     "falls "
     "and starts again in periods of twice the length each time: for streams that change slowly, where noise "
     "should be averaged out. plateau lowers the rate while the loss has stopped falling and raises it when the loss "
     "rises: for streams that change now and then.",
     NULL, 0, false},
    {"schedule_steps", EDDY_OPT_INT, AT(train, schedule_steps), "1000", 1, 1e9, "optimiser steps",
     "Length of the warmup (warmup, inverse_sqrt), of the first period (cosine), or over which the loss must fall "
     "(plateau).",
     NULL, 0, false},
    {"schedule_floor", EDDY_OPT_REAL, AT(train, schedule_floor), "0.1", 1e-6, 1, "share of learning_rate",
     "Where inverse_sqrt, cosine and plateau stop falling: a stream never ends, so learning must not either.", NULL,
     0, false},
    {"beta1", EDDY_OPT_REAL, AT(train, beta1), "0.9", 0, 0.999999, "per step",
     "Optimiser adam: decay of the mean of the gradients.", NULL, 0, false},
    {"beta2", EDDY_OPT_REAL, AT(train, beta2), "0.999", 0, 0.999999, "per step",
     "Optimiser adam: decay of the mean of the squared gradients.", NULL, 0, false},
    {"alpha", EDDY_OPT_REAL, AT(train, alpha), "0.99", 0, 0.999999, "per step",
     "Optimiser rmsprop: decay of the mean of the squared gradients.", NULL, 0, false},
    {"momentum", EDDY_OPT_REAL, AT(train, momentum), "0.9", 0, 0.999999, "per step",
     "Optimiser sgd: share of the last step that the next one goes on with.", NULL, 0, false},
    {"weight_decay", EDDY_OPT_REAL, AT(train, weight_decay), "0", 0, 1, "share per learning_rate",
     "Every step takes this times the learning rate off all weights, as in AdamW; biases, normalisations and initial "
     "states are spared.",
     NULL, 0, false},
    {"clip_value", EDDY_OPT_REAL, AT(train, clip_value), "0", 0, 1e6, "",
     "Every number of a gradient is limited to this either way, before clip_norm; 0 does not.", NULL, 0, false},
    {"clip_norm", EDDY_OPT_REAL, AT(train, clip_norm), "1", 1e-6, 1e6, "",
     "Gradients with a larger norm are scaled down to it.", NULL, 0, false},
    {"ema", EDDY_OPT_REAL, AT(train, ema), "0.99", 0, 0.999999, "",
     "Decay of the averaged weights that serve; 0 serves the trained weights themselves.", NULL, 0, false},
    {"batch", EDDY_OPT_INT, AT(train, batch), "4", 1, 4096, "windows", "Windows per optimiser step.", NULL, 0, false},
    {"windows", EDDY_OPT_INT, AT(train, windows), "64", 1, 65536, "windows",
     "Windows kept per epoch, drawn evenly from all.", NULL, 0, false},
    {"replay", EDDY_OPT_REAL, AT(train, replay), "0", 0, 16, "per fresh window",
     "Past windows, of any key, that are trained on once more for each fresh one: better forecasts from few series, "
     "at "
     "that much more training. Shared weights only.",
     NULL, 0, false},
    {"replay_windows", EDDY_OPT_INT, AT(train, replay_windows), "512", 1, 65536, "windows",
     "Past windows kept per partition to draw from, in memory and in checkpoints.", NULL, 0, false},
    {"replay_span", EDDY_OPT_INT, AT(train, replay_span), "4096", 1, 1e9, "windows",
     "How far back they reach: those kept are an even sample of the last so many.", NULL, 0, false},
    {"young", EDDY_OPT_REAL, AT(train, young), "0", 0, 1, "share of windows",
     "How many windows are cut as though their key had just begun, with a scale, a state and a season that know "
     "nothing of before: where keys come and go, so that the network learns to judge new ones. Windows then reach "
     "twice "
     "as far as the largest horizon. Shared weights only.",
     NULL, 0, false},
    {"incidents", EDDY_OPT_ENUM, AT(train, incidents), "learn", 0, 0, "learn|skip",
     "Whether networks learn from windows with an anomaly or an open incident in them. skip leaves these out: for "
     "rare faults that come back; where most alarms are ordinary events it costs accuracy. It is about networks "
     "alone: other experts (rls, fleet and the like), their mix, scales, bands and the season learn from every event "
     "either way.",
     NULL, 0, false},
    {"exclude", EDDY_OPT_STRINGS, AT(train, exclude), "", 0, 0, "labels",
     "Networks learn from no window that holds an event with one of these labels (codec.json.label, "
     "codec.csv.label), "
     "such as [maintenance]. A label that comes later, in the topic or from source.kafka.labels, counts for windows "
     "that have not been taken by then.",
     NULL, 0, false},
    {"champion", EDDY_OPT_REAL, AT(train, champion), "0", 0, 100, "standard deviations",
     "New weights are adopted only when they are not worse than the live ones, by more than this many spreads of "
     "their "
     "losses, on windows held out, the last 32 of the last 32 epochs; otherwise the live ones stay and training "
     "starts "
     "from them again. Held out, and never trained on, is an eighth of each series, in stretches of two windows, and "
     "windows at their edges. A series has such a stretch once in 16 windows or so: few keys are judged by windows "
     "that are older and much alike, or, when there is none in these epochs, not at all. 0 adopts all that are "
     "finite.",
     NULL, 0, false},
    {"keep_versions", EDDY_OPT_INT, AT(train, keep_versions), "5", 2, 1000, "versions",
     "Versions of the shared weights that a state file keeps, one per checkpoint at most: `eddy model` lists, "
     "compares "
     "and takes them back.",
     NULL, 0, false},
    {"epoch", EDDY_OPT_INT, AT(train, epoch), "256", 1, 1e9, "offsets",
     "Distance between the offsets of a partition at which shared weights may change.", NULL, 0, false},
    {"every_time", EDDY_OPT_DURATION, AT(train, every_time), "0", 0, 36500 * DAY, "of event time",
     "Windows wait for a round of training until the partition's newest event time has moved by this much since the "
     "last "
     "round; looked at where epochs end, so with a small epoch it alone sets the pace. 0 trains after every epoch. "
     "Shared weights only.",
     NULL, 0, false},
    {"drift_rounds", EDDY_OPT_INT, AT(train, drift_rounds), "0", 0, 64, "passes",
     "When the network's error has grown for good (by half at least in the mean of the last four epochs, against its "
     "long "
     "run, from the 25th epoch on), training does not wait for every_time and goes this many times more over the "
     "fresh "
     "windows of each round, for drift_epochs: the network follows a change sooner. 0 does not look. Shared weights "
     "only.",
     NULL, 0, false},
    {"drift_epochs", EDDY_OPT_INT, AT(train, drift_epochs), "16", 1, 1000000, "epochs",
     "How long that lasts; a further change in the meantime does not lengthen it.", NULL, 0, false},
    {"lag", EDDY_OPT_INT, AT(train, lag), "1", 1, 1000, "epochs",
     "Epochs between the last event that a candidate has seen and its adoption.", NULL, 0, false},
    {0},
};

static const struct eddy_option state_options[] = {
    {"path", EDDY_OPT_STRING, AT(state, path), "eddy-state", 0, 0, "directory",
     "Where states and weights are kept, one file per partition.", NULL, 0, false},
    {"checkpoint", EDDY_OPT_DURATION, AT(state, checkpoint), "10s", MS, DAY, "",
     "Time between two checkpoints. After a crash at most this much is read again.", NULL, 0, false},
    {"memory", EDDY_OPT_SIZE, AT(state, memory), "1GiB", 64 * KIB, 1024 * 1024 * GIB, "per process",
     "Memory for resident keys; those that are not used wait on disk.", NULL, 0, false},
    {"max_keys", EDDY_OPT_INT, AT(state, max_keys), "0", 0, 1e12, "keys per process",
     "Resident keys at most; 0 leaves it to state.memory.", NULL, 0, false},
    {"ttl", EDDY_OPT_DURATION, AT(state, ttl), "0", 0, 36500 * DAY, "of event time",
     "A key that has been silent for longer is forgotten; an incident of it that is still open closes then, by the "
     "time of "
     "the partition's other keys, as a record of detect.incidents.sink. 0 keeps all.",
     NULL, 0, false},
    {"on_change", EDDY_OPT_ENUM, AT(state, on_change), "refuse", 0, 0, "refuse|reset",
     "When the configuration no longer fits the stored state: refuse to start, or reset only what changed.", NULL, 0,
     false},
    {"missing", EDDY_OPT_ENUM, AT(state, missing), "rebuild", 0, 0, "rebuild|refuse",
     "When a partition's stored state is gone or damaged: rebuild it from the topic, keeping a damaged file as "
     "<file>.corrupt-<time>, or refuse to start.",
     NULL, 0, false},
    {"gap", EDDY_OPT_ENUM, AT(state, gap), "refuse", 0, 0, "refuse|accept",
     "When the topic no longer keeps what a partition's state goes on with or is made anew from: refuse to start, or "
     "accept that the state lacks it.",
     NULL, 0, false},
    {"ahead", EDDY_OPT_ENUM, AT(state, ahead), "refuse", 0, 0, "refuse|rebuild|trust",
     "With exactly_once, when a partition's state is ahead of the group's position (the group was moved back, or has "
     "expired): refuse the partition, rebuild its state from the topic and write results again from the group's "
     "position, or trust the state and go on from there.",
     NULL, 0, false},
    {"topic", EDDY_OPT_STRING, AT(state, topic), "", 0, 0, "Kafka topic",
     "A compacted topic on the source's cluster that keeps a copy of every partition's state, so that a partition "
     "that "
     "moves to another machine, or a machine whose disk is lost, goes on from there instead of folding everything "
     "again. Made with the source topic's number of partitions when there is none; one per pipeline and source "
     "topic. "
     "Empty is none; recommended for more than one machine.",
     NULL, 0, false},
    {"topic_interval", EDDY_OPT_DURATION, AT(state, topic_interval), "30s", 100 * MS, DAY, "",
     "Time between two publications of a partition's state to state.topic: what another machine folds again at most, "
     "besides a checkpoint's. What changed meanwhile is written, at the next checkpoint.",
     NULL, 0, false},
    {0},
};

static const struct eddy_option errors_options[] = {
    {"tolerance", EDDY_OPT_ENUM, AT(errors, tolerance), "all", 0, 0, "all|none",
     "all goes on after a bad record, none stops at the first.", NULL, 0, false},
    {"dead_letter", EDDY_OPT_PART, AT(errors, dead_letter), "", 0, 0, "",
     "Where bad records go, byte for byte, with the reason. Without it they are logged and counted.", NULL,
     EDDY_PART_SINK, false},
    {0},
};

static const struct eddy_option limits_options[] = {
    {"record", EDDY_OPT_SIZE, AT(limits, record), "1MiB", 64, GIB, "", "Largest payload of a record.", NULL, 0,
     false},
    {"key", EDDY_OPT_SIZE, AT(limits, key), "1KiB", 1, MIB, "", "Longest key.", NULL, 0, false},
    {"depth", EDDY_OPT_INT, AT(limits, depth), "32", 1, 512, "levels", "Deepest nesting of a JSON record.", NULL, 0,
     false},
    {"fields", EDDY_OPT_INT, AT(limits, fields), "1024", 1, 1e6, "fields", "Most fields of one record.", NULL, 0,
     false},
    {0},
};

const char *const settings_kernels[] = {"auto", "portable", "avx2", "avx512"};

const struct eddy_option settings_options[] = {
    {"name", EDDY_OPT_STRING, offsetof(struct settings, name), NULL, 0, 0, "",
     "The pipeline's name: consumer group and state files derive from it. Letters, digits, dot, dash and underscore, "
     "at most 100.",
     NULL, 0, false},
    {"seed", EDDY_OPT_INT, offsetof(struct settings, seed), "1", 0, 0, "",
     "Seed of all random numbers: equal seed and input give equal output.", NULL, 0, false},
    {"workers", EDDY_OPT_INT, offsetof(struct settings, workers), "1", 1, 256, "threads",
     "How many members of the consumer group `eddy run` is, each with a thread, partitions and training of its own; "
     "a "
     "replay of topics divides the partitions likewise. Results and states are those of one worker. More than there "
     "are "
     "partitions stand idle. Several need a source and sinks that are topics.",
     NULL, 0, false},
    {"source", EDDY_OPT_PART, offsetof(struct settings, source), NULL, 0, 0, "", "Where events come from.", NULL,
     EDDY_PART_SOURCE, false},
    {"codec", EDDY_OPT_PART, offsetof(struct settings, codec), "json", 0, 0, "",
     "How a record is read and a result written.", NULL, EDDY_PART_CODEC, false},
    {"forecast", EDDY_OPT_GROUP, offsetof(struct settings, forecast), "", 0, 0, "", "What is forecast, and by what.",
     forecast_options, 0, false},
    {"detect", EDDY_OPT_GROUP, offsetof(struct settings, detect), "", 0, 0, "", "When a value counts as an anomaly.",
     detect_options, 0, false},
    {"train", EDDY_OPT_GROUP, offsetof(struct settings, train), "", 0, 0, "", "How the network goes on learning.",
     train_options, 0, false},
    {"state", EDDY_OPT_GROUP, offsetof(struct settings, state), "", 0, 0, "",
     "What is kept for every key, and where.", state_options, 0, false},
    {"sink", EDDY_OPT_PART, offsetof(struct settings, sink), NULL, 0, 0, "", "Where results go.", NULL,
     EDDY_PART_SINK, false},
    {"errors", EDDY_OPT_GROUP, offsetof(struct settings, errors), "", 0, 0, "", "What happens to bad records.",
     errors_options, 0, false},
    {"limits", EDDY_OPT_GROUP, offsetof(struct settings, limits), "", 0, 0, "", "What a record may be at most.",
     limits_options, 0, false},
    {"late", EDDY_OPT_ENUM, offsetof(struct settings, late), "fold", 0, 0, "fold|drop",
     "Events that are not newer than the last of their key: fold takes them in order of arrival with an elapsed time "
     "of "
     "0, drop leaves them out of the state. There is always an output record.",
     NULL, 0, false},
    {"guarantee", EDDY_OPT_ENUM, offsetof(struct settings, guarantee), "at_least_once", 0, 0,
     "at_least_once|exactly_once",
     "What holds for outputs after a crash; states are exact in any case. at_least_once may repeat outputs, byte for "
     "byte. exactly_once writes results, dead letters, incidents and positions in one Kafka transaction (source and "
     "sinks on one cluster): readers with isolation.level=read_committed see each once. Files and pipes know no "
     "transactions; replay and filter start from nothing anyway.",
     NULL, 0, false},
    {"commit_interval", EDDY_OPT_DURATION, offsetof(struct settings, commit_interval), "1s", 10e6, 5e9, "",
     "Time between two transactions of exactly_once: what readers wait for at most.", NULL, 0, false},
    {"latency", EDDY_OPT_ENUM, offsetof(struct settings, latency), "balanced", 0, 0, "balanced|low|throughput",
     "How long records may wait to be moved together, on their way in and out of Kafka. low: not at all, and "
     "commit_interval: 100ms. balanced: results wait up to 5 ms for others. throughput: records up to 100 ms, "
     "results "
     "up to 50 ms. "
     "Single properties of source and sink (linger.ms, fetch.min.bytes, fetch.wait.max.ms ..) still win.",
     NULL, 0, false},
    {"kernel", EDDY_OPT_ENUM, offsetof(struct settings, kernel), "auto", 0, 0, "auto|portable|avx2|avx512",
     "Instruction set of the networks' arithmetic, for the whole process. auto: what the environment's EDDY_KERNEL "
     "names, or else the fastest that the processor has. avx2 and avx512 give the same bits, portable differs from "
     "them in the last digits.",
     NULL, 0, false},
    {"plugins", EDDY_OPT_STRINGS, offsetof(struct settings, plugins), "", 0, 0, "paths",
     "Shared libraries that add parts. They are loaded before anything else is read.", NULL, 0, false},
    {0},
};

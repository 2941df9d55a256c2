/* A committee of members that each know one kind of fault, calibrated by the key's own history; no network is needed.
 *
 * Per value and event every member gives its evidence r (committee_members.c), and has a limit k:
 *     bump     -= bump / repeat                             before the event
 *     strength  = r / (k (1 + bump))                        the member speaks when this reaches 1
 *     alarm     when some member of some value speaks, the value is old enough and the key is not mute, or it breaks the mute;
 *               bump += 1 for the member that speaks loudest (largest r / k); then mute
 *     k         = limit x member_limits x limits x threshold / .4        so that detect.threshold moves all detectors; stuck and
 *                                                                        miss: limit x member_limits
 *     evidence  = threshold x the largest strength, at most 1; score: the same, 0 while mute
 *     a mute is broken by a spike or by missing values where the last alarm was of another kind, by a spike after a spike
 *               where its r / k is `louder` times the other's: they would be over when the mute ends
 *     support   = the largest r / k: how nearly the committee would speak, whatever it has said before
 * low48, lowmax, calm and stuck speak once in an episode, which begins with an alarm outside the mute and ends when they have been within
 * their limits for `episode` rows: what is still so when the mute or the warm-up ends is told then.
 * The fault that is told is the kind of the loudest value's speaker; where stuck or miss speak it is theirs, for a frozen
 * value is also a quiet one.
 * The key's evidence is that of its most conspicuous value; the values' own evidence is the attribution.
 * A value is silent for its first `warmup` rows.  Missing values count as rows: that they are missing is a fault too. */
#include "engine/detect/committee.h"

#include <math.h>
#include <string.h>

#include "engine/detect/detectors.h"
#include "engine/math/scalar.h"
#include "engine/math/sound.h"

struct committee_settings {
    struct eddy_strings members;
    double limits, memory, repeat;
    int64_t mute, warmup, block, episode;
    double louder;
    struct committee_limits {
        double of[COMMITTEE_MEMBERS]; /* in the order of committee_members */
    } member_limits;
    struct committee_rates rates;
};

#define LIMIT(name, member, what)                                                                                    \
    {                                                                                                                \
        name, EDDY_OPT_REAL, offsetof(struct committee_limits, of) + (member) * sizeof(double), "1", .01, 1e6,       \
            "times", "Factor on the limit of the member that knows " what "; more is quieter.", NULL, 0, false       \
    }
static const struct eddy_option limit_options[] = {LIMIT("e1ph", 0, "a spike, one error for its time of day"),
                                                   LIMIT("var24", 1, "a burst of 24 events"),
                                                   LIMIT("var60", 2, "a burst of 60 events"),
                                                   LIMIT("exceed", 3, "a burst by errors that exceed often"),
                                                   LIMIT("low48", 4, "less motion in 48 events"),
                                                   LIMIT("lowmax", 5, "less motion by no large move in 24 events"),
                                                   LIMIT("rough", 6, "noise upon the value"),
                                                   LIMIT("cusum", 7, "a drift"),
                                                   LIMIT("level", 8, "a shift of level"),
                                                   LIMIT("phase", 9, "a lost rhythm"),
                                                   LIMIT("calm", 10, "smaller errors than ever"),
                                                   LIMIT("stuck", 11, "a frozen value"),
                                                   LIMIT("novel", 12, "a value beyond all earlier ones"),
                                                   LIMIT("miss", 13, "missing values"),
                                                   {0}};
#undef LIMIT

static const struct eddy_option options[] = {
    {"members", EDDY_OPT_STRINGS, offsetof(struct committee_settings, members), "", 0, 0, "",
     "Which members judge: e1ph, novel (spikes), var24, var60, exceed, rough (bursts), low48, lowmax, calm (less "
     "motion), "
     "cusum (drifts), level (shifts), phase (lost rhythm), stuck, miss. Unset: all.",
     NULL, 0, false},
    {"limits", EDDY_OPT_REAL, offsetof(struct committee_settings, limits), "1", .1, 100, "times",
     "Factor on the limits of all members but stuck and miss: more is quieter.", NULL, 0, false},
    {"member_limits", EDDY_OPT_GROUP, offsetof(struct committee_settings, member_limits), "", 0, 0, "",
     "Factors on the limits of single members, by name, such as {stuck: 2, cusum: 0.8}; with `limits`, where that "
     "applies.",
     limit_options, 0, false},
    {"mute", EDDY_OPT_INT, offsetof(struct committee_settings, mute), "48", 0, 1e6, "events",
     "After an alarm the score stays 0 for so long, but for a spike or missing values after an alarm of another "
     "kind.",
     NULL, 0, false},
    {"louder", EDDY_OPT_REAL, offsetof(struct committee_settings, louder), "3", 0, 1e6, "times",
     "A spike in the mute after a spike is told where it is so many times as far beyond its limit; 0: nothing at all "
     "is told in a mute.",
     NULL, 0, false},
    {"warmup", EDDY_OPT_INT, offsetof(struct committee_settings, warmup), "300", 0, 1e9, "events",
     "A value is not judged before it has had so many.", NULL, 0, false},
    {"memory", EDDY_OPT_REAL, offsetof(struct committee_settings, memory), "3000", 10, 1e9, "events",
     "Evidence must beat the key's largest so far, which fades in this time.", NULL, 0, false},
    /* Not the 1,500 of DETECTION: with those the second and third of three faults were found half as often as the first. */
    {"repeat", EDDY_OPT_REAL, offsetof(struct committee_settings, repeat), "500", 10, 1e9, "events",
     "An alarm doubles its member's limit, which comes down again in this time.", NULL, 0, false},
    {"block", EDDY_OPT_INT, offsetof(struct committee_settings, block), "24", 2, 60000, "events",
     "A member is calibrated by its statistic's maxima over blocks of this length.", NULL, 0, false},
    {"episode", EDDY_OPT_INT, offsetof(struct committee_settings, episode), "48", 1, 1e9, "events",
     "A frozen or too quiet value is told of once; again after it has moved as usual for so long.", NULL, 0, false},
    {"drift", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.drift), "0.3", 0, 4, "usual errors per event",
     "cusum: what errors in one direction are forgiven. Less finds slower drifts, and more that are none.", NULL, 0,
     false},
    {"level_events", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.level_events), "8", 1, 1e6, "events",
     "level: over about so many the new level is averaged. Longer finds smaller shifts, later.", NULL, 0, false},
    {"rough_events", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.rough_events), "16", 1, 1e6, "events",
     "rough: over about so many the alternation of errors is averaged. Longer finds weaker noise, later.", NULL, 0,
     false},
    {"exceeding", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.exceeding), "0.08", .001, .5, "share",
     "exceed: so many errors exceed usually. Fewer look at larger errors alone.", NULL, 0, false},
    {"move_rate", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.move), "0.002", 1e-6, 1, "per event",
     "How fast the usual size of moves is followed. Faster takes a lively spell for usual sooner.", NULL, 0, false},
    {"error_rate", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.error), "0.003", 1e-6, 1, "per event",
     "How fast the usual size of errors is followed. Faster takes a burst for usual sooner.", NULL, 0, false},
    {"season_rate", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.season_move), "0.06", 1e-6, 1,
     "per event", "How fast the course of the season is followed, by events at the same time of it.", NULL, 0, false},
    {"season_error_rate", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.season_error), "0.04", 1e-6, 1,
     "per event", "How fast the usual size of errors at a time of the season is followed, by events at that time.",
     NULL, 0, false},
    {"forgetting", EDDY_OPT_REAL, offsetof(struct committee_settings, rates.forgetting), "0.9995", .9, 1, "per event",
     "How long the one-step forecast remembers: 0.9995 is about 2,000 events. Less follows changes sooner, and takes "
     "them for usual.",
     NULL, 0, false},
    {0}};

struct committee_key {
    int64_t muted_until; /* events */
    float told_ratio;    /* of the alarm that began the mute: how loud, */
    int32_t told;        /* and of whom, a place in committee_members */
};

/* What the committee says of one value. */
struct committee_opinion {
    double support, strength; /* see above */
    double loudest;           /* largest r / k of those that speak */
    int speaker;              /* -1: nobody */
    int counts;               /* who speaks of what can be counted; -1: nobody */
};

static const struct committee_opinion COMMITTEE_SILENT = {.speaker = -1, .counts = -1};

static bool committee_has(const struct committee_settings *s, const char *name)
{
    for (int i = 0; i < s->members.n; i++)
        if (*s->members.item[i] == *name && strcmp(s->members.item[i], name) == 0) return true;
    return s->members.n == 0;
}

/* A member's evidence is `ratio` times its limit. */
static void committee_hear(struct committee_opinion *o, int m, double ratio, double strength)
{
    o->strength = scalar_most(o->strength, strength);
    if (strength < 1) return;
    if (!committee_members[m].scalable) o->counts = m;
    if (ratio <= o->loudest) return;
    o->loudest = ratio;
    o->speaker = m;
}

/* All of committee_members[].kind. */
static const char *const faults[] = {"spike",  "variance", "quiet",   "drift", "level_shift",
                                     "rhythm", "stuck",    "dropout", NULL};

static struct committee_opinion committee_ask(const struct committee_settings *s, struct committee_value *v,
                                              const struct committee_event *in, double limits, bool silent)
{
    struct committee_opinion o = COMMITTEE_SILENT, quiet = COMMITTEE_SILENT;
    bool over = false;
    for (int m = 0; m < COMMITTEE_MEMBERS; m++) {
        const struct committee_member *member = &committee_members[m];
        if (!committee_has(s, member->name)) continue;
        v->bump[m] -= (float)((double)v->bump[m] / s->repeat);
        const double r = committee_evidence(member, v, in, s->block, s->memory);
        const double ratio = r / (member->limit * s->member_limits.of[m] * (member->scalable ? limits : 1));
        o.support = scalar_most(o.support, ratio);
        over = over || (member->once && ratio >= 1);
        committee_hear(member->once ? &quiet : &o, m, ratio, ratio / (1 + (double)v->bump[m]));
    }
    v->quiet_for = over ? 0 : v->quiet_for < INT32_MAX ? v->quiet_for + 1 : v->quiet_for;
    if (v->quiet_for > s->episode) v->episode = 0;
    if (v->episode) return o;
    v->episode = quiet.strength >= 1 && !silent;
    o.strength = scalar_most(o.strength, quiet.strength);
    if (o.speaker < 0) o.speaker = quiet.speaker;
    if (quiet.counts >= 0) o.counts = quiet.counts;
    return o;
}

static struct committee_opinion committee_value(const struct committee_settings *s, struct committee_value *v,
                                                const struct eddy_evidence *in, int value, bool mute)
{
    struct committee_event event;
    if (!committee_begin(v, &s->rates, in->x[value], &in->season, &event)) return COMMITTEE_SILENT;
    if (!event.missing) committee_foresee(v, &event);
    committee_windows(v, &event);
    const int64_t warmup = s->warmup > in->warmup_events ? s->warmup : in->warmup_events;
    const bool young = v->n + 1 < warmup;
    const double limits = s->limits * detectors_strictness(in->threshold);
    const struct committee_opinion o = committee_ask(s, v, &event, limits, mute || young || in->warmup);
    committee_learn(v, &event);
    struct committee_opinion silent = COMMITTEE_SILENT;
    silent.support = o.support;
    return young ? silent : o;
}

/* Whose kind is told. */
static int committee_teller(const struct committee_opinion *o)
{
    return o->counts >= 0 ? o->counts : o->speaker;
}

static bool committee_breaks_mute(const struct committee_settings *s, const struct committee_key *key,
                                  const struct committee_opinion *o)
{
    if (o->speaker < 0 || s->louder <= 0) return false;
    const struct committee_member *now = &committee_members[committee_teller(o)];
    if (strcmp(now->kind, committee_members[key->told].kind) != 0) return now->manners != COMMITTEE_WAITS;
    return now->manners == COMMITTEE_SINGLE && o->loudest >= s->louder * (double)key->told_ratio;
}

static void committee_judge(const void *settings, void *state, const struct eddy_evidence *in,
                            struct eddy_verdict *out)
{
    const struct committee_settings *s = settings;
    struct committee_key *key = state;
    struct committee_value *values = (struct committee_value *)(void *)(key + 1);
    const bool mute = in->count < key->muted_until;
    struct committee_key next = *key;
    double loudest = 0;
    bool alarm = false;

    out->evidence = out->support = 0;
    for (int i = 0; i < in->n_values; i++) {
        const struct committee_opinion o = committee_value(s, &values[i], in, i, mute);
        const double evidence = scalar_least(1, scalar_most(0, in->threshold * o.strength));
        out->attribution[i] = (float)evidence;
        out->evidence = scalar_most(out->evidence, evidence);
        out->support = scalar_most(out->support, o.support);
        if (o.speaker < 0 || in->warmup || (mute && !committee_breaks_mute(s, key, &o))) continue;
        values[i].bump[o.speaker] += 1;
        if (alarm && evidence <= loudest) continue;
        alarm = true;
        loudest = evidence;
        out->fault = committee_members[committee_teller(&o)].kind;
        next = (struct committee_key){in->count + 1 + s->mute, (float)o.loudest, committee_teller(&o)};
    }
    out->score = mute && !alarm ? 0 : out->evidence;
    *key = next;
}

static size_t committee_state_bytes(const void *settings, int n_values, int n_horizons)
{
    (void)settings, (void)n_horizons;
    return sizeof(struct committee_key) + (size_t)n_values * sizeof(struct committee_value);
}

static eddy_status committee_check(const void *settings, struct eddy_error *err)
{
    const struct committee_settings *s = settings;
    for (int i = 0; i < s->members.n; i++) {
        int m = 0;
        while (m < COMMITTEE_MEMBERS && strcmp(committee_members[m].name, s->members.item[i]) != 0) m++;
        if (m == COMMITTEE_MEMBERS)
            return eddy_fail(err, EDDY_ECONFIG, "members: the committee has no member %s", s->members.item[i]);
    }
    return EDDY_OK;
}

static bool committee_value_sound(const struct committee_value *v)
{
    const struct committee_season *p = &v->season;
    return sound_count(v->n) && sound_span(v->forecast.n, 0, INT32_MAX / 2) &&
           sound_span(p->n_bins, 0, COMMITTEE_BINS) && p->steps >= 0 && v->gap >= 0 && v->longest_gap >= 0 &&
           v->run >= 0 && v->longest_run >= 0 && v->since_gap >= 0 && v->quiet_for >= 0;
}

static bool committee_sound(const void *settings, int n_values, int n_horizons, const void *state)
{
    const struct committee_key *key = state;
    const struct committee_value *v = (const void *)(key + 1);
    bool sound = sound_span(key->told, 0, COMMITTEE_MEMBERS - 1);
    (void)settings, (void)n_horizons;
    for (int i = 0; i < n_values; i++) sound &= committee_value_sound(&v[i]);
    return sound;
}

const struct eddy_detector detector_committee = {
    .part = {sizeof(struct eddy_detector), EDDY_PART_DETECTOR, "committee",
             "one member for each kind of fault, judged against the key's own history; needs no network (1968 bytes "
             "a value)",
             options, sizeof(struct committee_settings), committee_check},
    .state_version = 3,
    .state_bytes = committee_state_bytes,
    .judge = committee_judge,
    .sound = committee_sound,
    .faults = faults,
};

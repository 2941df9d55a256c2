/* The season of a series and where in it an event lies: `forecast.season`. */
#ifndef EDDY_SEASON_H
#define EDDY_SEASON_H

struct eddy_season {
    double steps; /* of one season, at the key's usual pace; 0: none is known */
    double phase; /* 0 <= phase < 1 */
};

#endif

/* balance.h - the part of the curate stage that keeps frequent concepts from crowding out the rest (docs/BALANCE.md). */
#ifndef SV_STAGES_BALANCE_H
#define SV_STAGES_BALANCE_H

#include "stages/rundir.h"
#include "text/concepts/concepts.h"

/* The recipe's balance, resolved. Zero-initialised: none. */
typedef struct sv_balance {
    bool on;                     /* the recipe names concepts */
    sv_balance_plan plan;
    sv_setup concepts, verdicts; /* what captions speak of; the verdicts after balancing */
} sv_balance;

/* Reads the recipe's concepts. Without any: on is false. */
sv_status sv_balance_open(sv_rundir *run, sv_balance *out, sv_error *err);
void sv_balance_close(sv_balance *b);

/* Registers both setups: of the concepts of the captions that `before` keeps, and of the verdicts that balancing makes of it. */
sv_status sv_balance_setups(sv_rundir *run, sv_balance *b, const sv_setup *before, sv_error *err);

/* Finds the concepts of every caption that `before` keeps, and makes the balanced verdicts. captions: how many there are in all. Can be repeated: what is
 * there and right is not written again. */
sv_status sv_balance_run(sv_rundir *run, sv_balance *b, const sv_setup *before, int64_t captions, sv_error *err);

/* ---- concepts of a piece of captions ---- */
typedef struct sv_piece_concepts {
    struct { int64_t number; uint64_t concept; } *rows;   /* in order; concept 0: none */
    size_t count, capacity;
} sv_piece_concepts;
/* Those that the ledger has for the captions after .. upto. */
sv_status sv_piece_concepts_read(sv_ledger *l, int64_t setup, int64_t after, int64_t upto, sv_piece_concepts *out, sv_error *err);
void sv_piece_concepts_free(sv_piece_concepts *p);

#endif

/* Prints what the status board says of accounts: read_board BOARD NAME…
 *
 *     cc -O2 -I "$(python -c 'import seawall.statusboard as b; print(b.C_INCLUDE)')" read_board.c -o read_board
 *
 * Exit code 0: all were known. 1: at least one was not. 2: no board.
 */
#include <inttypes.h>

#include "seawall_board.h"

#define MAX_AGE_NS 1000000000

int main(int count, char **arguments) {
    seawall_board board;
    int unknown = 0;
    if (count < 2) {
        fprintf(stderr, "usage: read_board BOARD NAME...\n");
        return 2;
    }
    int answer = seawall_open(&board, arguments[1]);
    if (answer != SEAWALL_OK) {
        fprintf(stderr, "%s: %s%s%s\n", arguments[1], seawall_words(answer), answer == SEAWALL_NO_FILE ? ": " : "",
                answer == SEAWALL_NO_FILE ? strerror(errno) : "");
        return 2;
    }
    for (int k = 2; k < count; k++) {
        seawall_row row;
        answer = seawall_read(&board, seawall_find(&board, arguments[k]), MAX_AGE_NS, &row);
        if (answer == SEAWALL_OK) {
            printf("%s equity %" PRId64 " initial %" PRId64 " maintenance %" PRId64 " status %" PRId64 " sequence %" PRId64
                   " market %" PRId64 " at %" PRId64 "\n",
                   arguments[k], row.equity_micro, row.initial_micro, row.maintenance_micro, row.status, row.sequence,
                   row.market_version, row.at_ns);
        } else {
            printf("%s unknown: %s\n", arguments[k], seawall_words(answer));
            unknown = 1;
        }
    }
    seawall_close(&board);
    return unknown;
}

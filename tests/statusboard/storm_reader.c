/* Reads a board under a storm of writes and looks for torn rows: storm_reader BOARD READS.
 *
 * Counts only contended reads: those that find another copy than the last read of the row. Prints reads, contended, busy
 * and torn; exit code 0 if none was torn. Word k of a row must be its first word + k (storm_writer.py).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "seawall_board.h"

int main(int count, char **arguments) {
    seawall_board board;
    if (count != 3 || seawall_open(&board, arguments[1]) != SEAWALL_OK) return 2;
    int64_t wanted = atoll(arguments[2]), reads = 0, contended = 0, busy = 0, torn = 0, other = 0;
    int64_t *last = calloc((size_t)board.rows, sizeof *last);
    while (contended < wanted) {
        for (int64_t row = 0; row < board.rows; row++) {
            int64_t words[7];
            int answer = seawall_line(board.words + 8 * (SEAWALL_HEADER_BYTES / SEAWALL_LINE_BYTES + row), words);
            reads++;
            if (answer == SEAWALL_BUSY) {
                busy++;
            } else if (answer != SEAWALL_OK) {
                other++;
            } else {
                for (int word = 1; word < 7; word++)
                    if (words[word] != words[0] + word) {
                        torn++;
                        break;
                    }
                contended += words[0] != last[row];
                last[row] = words[0];
            }
        }
        if ((reads & 0xFFFF) < board.rows) {
            seawall_live live;
            if (seawall_header(&board, &live) == SEAWALL_OK && live.state != 1) break;
        }
    }
    printf("{\"reads\": %" PRId64 ", \"contended\": %" PRId64 ", \"busy\": %" PRId64 ", \"torn\": %" PRId64
           ", \"other\": %" PRId64 "}\n",
           reads, contended, busy, torn, other);
    free(last);
    seawall_close(&board);
    return torn != 0 || other != 0;
}

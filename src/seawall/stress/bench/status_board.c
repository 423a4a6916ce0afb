/* Times reads of a status board in C: status_board BOARD READS. Random rows, each read with the engine's sign of life.
 *
 * Prints the mean of all reads timed together, percentiles of reads timed one by one (less what the clock itself takes),
 * all in nanoseconds, and how many reads were not answered. Not answered because another board took its place: exit 1.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "seawall_board.h"

#define MAX_AGE_NS 60000000000

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t state = 88172645463325252u;

static int64_t random_row(int64_t rows) { /* xorshift64 of Marsaglia, 2003 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)(state % (uint64_t)rows);
}

static int rising(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int count, char **arguments) {
    seawall_board board;
    seawall_row row;
    if (count != 3 || seawall_open(&board, arguments[1]) != SEAWALL_OK) return 2;
    int64_t reads = atoll(arguments[2]), busy = 0, other = 0, *taken = malloc((size_t)reads * sizeof *taken);
    int64_t start = now_ns();
    for (int64_t k = 0; k < reads; k++) {
        int answer = seawall_read(&board, random_row(board.rows), MAX_AGE_NS, &row);
        busy += answer == SEAWALL_BUSY;
        other += answer != SEAWALL_BUSY && answer != SEAWALL_OK;
    }
    double mean_ns = (double)(now_ns() - start) / (double)reads, clock_ns;
    start = now_ns();
    for (int k = 0; k < 100000; k++) taken[0] = now_ns();
    clock_ns = (double)(now_ns() - start) / 100000;
    for (int64_t k = 0; k < reads; k++) {
        int64_t wanted = random_row(board.rows);
        start = now_ns();
        int answer = seawall_read(&board, wanted, MAX_AGE_NS, &row);
        taken[k] = now_ns() - start;
        busy += answer == SEAWALL_BUSY;
        other += answer != SEAWALL_BUSY && answer != SEAWALL_OK;
    }
    qsort(taken, (size_t)reads, sizeof *taken, rising);
    printf("{\"mean_ns\": %.1f, \"p50_ns\": %.1f, \"p99_ns\": %.1f, \"busy\": %" PRId64 ", \"other\": %" PRId64 "}\n", mean_ns,
           (double)taken[reads / 2] - clock_ns, (double)taken[reads * 99 / 100] - clock_ns, busy, other);
    return other != 0;
}

/* Reading Seawall's status board from C or C++ without a call to the engine: include this file, nothing to link.
 *
 * A reading is SEAWALL_OK only if it is whole, fresh and of the engine that runs now; anything else means "unknown", and
 * leaves *out as zeros: there is no last copy to fall back on. docs/status_board.md has the layout. Needs GCC or Clang
 * (their __atomic builtins) and a little-endian machine. A board may be read by any number of threads.
 */
#ifndef SEAWALL_BOARD_H
#define SEAWALL_BOARD_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the status board is little-endian"
#endif

enum seawall_answer {
    SEAWALL_OK = 0,
    SEAWALL_STALE = 1,       /* no sign of life from the engine for longer than the limit */
    SEAWALL_CLOSED = 2,      /* the engine was shut down */
    SEAWALL_REPLACED = 3,    /* there is a newer board: close this one and open it again; rows may have moved */
    SEAWALL_UNPUBLISHED = 4, /* a row that was never written */
    SEAWALL_BUSY = 5,        /* not whole after SEAWALL_TRIES tries: a writer in this very row, or killed in it */
    SEAWALL_NO_ROW = 6,
    SEAWALL_NO_FILE = 7,     /* it cannot be opened or mapped: errno says why */
    SEAWALL_NO_BOARD = 8     /* not a board, another layout version, cut off, or names of another creation */
};

#define SEAWALL_TRIES 1000
#define SEAWALL_HEADER_BYTES 4096
#define SEAWALL_LINE_BYTES 64

typedef struct {
    int64_t equity_micro, initial_micro, maintenance_micro; /* 10^-6 of the settlement currency */
    int64_t status;                                         /* the engine's status and flags */
    int64_t sequence, market_version, at_ns;                /* the event and prices it is as of, and their time */
} seawall_row;

typedef struct {
    int64_t heartbeat_ns, monotonic_ns, durable_seq, market_version, named_rows, state, reserved;
} seawall_live;

typedef struct {
    const int64_t *words;
    size_t bytes;
    int names;
    int64_t rows, generation, slots;
    int same_boot;
} seawall_board;

static inline uint32_t seawall_crc32(const unsigned char *data, size_t size) {
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t k = 0; k < size; k++) {
        crc ^= data[k];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0xEDB88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

static inline int seawall_head_holds(const unsigned char *head, const char *magic) {
    uint32_t version, crc;
    memcpy(&version, head + 4, 4);
    memcpy(&crc, head + 60, 4);
    return memcmp(head, magic, 4) == 0 && version == 1 && crc == seawall_crc32(head, 60);
}

/* 16 bytes that differ from boot to boot; zeros where the system does not say. */
static inline void seawall_boot_id(unsigned char out[16]) {
    memset(out, 0, 16);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (!file) return;
    int digit, count = 0;
    while (count < 32 && (digit = fgetc(file)) != EOF) {
        int value = digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
        if (value < 0) continue;
        out[count / 2] = (unsigned char)(out[count / 2] << 4 | value);
        count++;
    }
    fclose(file);
}

static inline void seawall_close(seawall_board *board) {
    if (board->words) munmap((void *)(uintptr_t)board->words, board->bytes);
    if (board->names >= 0) close(board->names);
    memset(board, 0, sizeof *board);
    board->names = -1;
}

static inline int seawall_open_once(seawall_board *board, const char *path, const char *names_path) {
    unsigned char head[SEAWALL_LINE_BYTES], boot[16];
    uint32_t header_bytes, line_bytes;
    int64_t names_generation, names_rows;
    struct stat file;
    board->words = NULL;
    board->names = open(names_path, O_RDONLY | O_CLOEXEC);
    if (board->names < 0 || fstat(board->names, &file) != 0) return SEAWALL_NO_FILE;
    if (pread(board->names, head, sizeof head, 0) != (ssize_t)sizeof head || !seawall_head_holds(head, "SWSN"))
        return SEAWALL_NO_BOARD;
    memcpy(&names_generation, head + 8, 8);
    memcpy(&board->slots, head + 16, 8);
    memcpy(&names_rows, head + 24, 8);
    if (board->slots < 16 || (board->slots & (board->slots - 1)) || names_rows < 1 || board->slots < names_rows ||
        file.st_size < SEAWALL_LINE_BYTES + 4 * board->slots + 16 * names_rows)
        return SEAWALL_NO_BOARD;

    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return SEAWALL_NO_FILE;
    int whole = fstat(fd, &file) == 0 && pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
                seawall_head_holds(head, "SWSB");
    if (whole) {
        memcpy(&header_bytes, head + 8, 4);
        memcpy(&line_bytes, head + 12, 4);
        memcpy(&board->rows, head + 16, 8);
        memcpy(&board->generation, head + 24, 8);
        whole = header_bytes == SEAWALL_HEADER_BYTES && line_bytes == SEAWALL_LINE_BYTES && board->rows > 0 &&
                board->rows <= (file.st_size - SEAWALL_HEADER_BYTES) / SEAWALL_LINE_BYTES &&
                board->rows == names_rows;
    }
    if (!whole) {
        close(fd);
        return SEAWALL_NO_BOARD;
    }
    board->bytes = (size_t)(SEAWALL_HEADER_BYTES + SEAWALL_LINE_BYTES * board->rows);
    void *mapped = mmap(NULL, board->bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return SEAWALL_NO_FILE;
    board->words = (const int64_t *)mapped;
    seawall_boot_id(boot);
    board->same_boot = memcmp(boot, head + 40, 16) == 0;
    return board->generation == names_generation ? SEAWALL_OK : SEAWALL_NO_BOARD;
}

/* Opens the board at a path. A start of the engine moves two files into place: tried again for a while in between. */
static inline int seawall_open(seawall_board *board, const char *path) {
    char names_path[4096];
    int answer = SEAWALL_NO_FILE;
    memset(board, 0, sizeof *board);
    board->names = -1;
    if (snprintf(names_path, sizeof names_path, "%s.names", path) >= (int)sizeof names_path) {
        errno = ENAMETOOLONG;
        return answer;
    }
    for (int attempt = 0; attempt < 50; attempt++) {
        struct timespec pause = {0, 2000000};
        answer = seawall_open_once(board, path, names_path);
        if (answer == SEAWALL_OK) return answer;
        int error = errno;
        int between = answer == SEAWALL_NO_BOARD && board->words;
        seawall_close(board);
        errno = error;
        if (!between) return answer;
        nanosleep(&pause, NULL);
    }
    return answer;
}

/* Copies words 1 to 7 of a line under its lock. */
static inline int seawall_line(const int64_t *line, int64_t out[7]) {
    for (int attempt = 0; attempt < SEAWALL_TRIES; attempt++) {
        int64_t before = __atomic_load_n(&line[0], __ATOMIC_ACQUIRE);
        if (before & 1) continue;
        for (int word = 0; word < 7; word++) out[word] = __atomic_load_n(&line[1 + word], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (__atomic_load_n(&line[0], __ATOMIC_RELAXED) == before) {
            if (before) return SEAWALL_OK;
            memset(out, 0, 7 * sizeof out[0]);
            return SEAWALL_UNPUBLISHED;
        }
    }
    memset(out, 0, 7 * sizeof out[0]);
    return SEAWALL_BUSY;
}

/* What the engine last said of itself, fresh or not. */
static inline int seawall_header(const seawall_board *board, seawall_live *out) {
    int64_t words[7];
    int answer = seawall_line(board->words + 8, words);
    memcpy(out, words, sizeof words);
    return answer;
}

/* Whether the board can be believed at this moment. */
static inline int seawall_alive(const seawall_board *board, int64_t max_age_ns) {
    seawall_live live;
    struct timespec now;
    int answer = seawall_header(board, &live);
    if (answer != SEAWALL_OK) return answer;
    if (live.state != 1) return live.state == 3 ? SEAWALL_REPLACED : SEAWALL_CLOSED;
#ifdef __APPLE__
    clock_gettime(CLOCK_UPTIME_RAW, &now);
#else
    clock_gettime(CLOCK_MONOTONIC, &now);
#endif
    int64_t age_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - live.monotonic_ns;
    return board->same_boot && age_ns >= 0 && age_ns <= max_age_ns ? SEAWALL_OK : SEAWALL_STALE;
}

/* The figures of a row, in force at the moment of return. max_age_ns: of the engine's sign of life. */
static inline int seawall_read(const seawall_board *board, int64_t row, int64_t max_age_ns, seawall_row *out) {
    int64_t words[7] = {0};
    int answer = SEAWALL_NO_ROW;
    if (row >= 0 && row < board->rows) {
        int alive;
        answer = seawall_line(board->words + 8 * (SEAWALL_HEADER_BYTES / SEAWALL_LINE_BYTES + row), words);
        alive = seawall_alive(board, max_age_ns);
        if (alive != SEAWALL_OK) {
            answer = alive;
            memset(words, 0, sizeof words);
        }
    }
    memcpy(out, words, sizeof words);
    return answer;
}

/* The row of an account's name (UTF-8), −1 where the board has none. A few system calls: look it up once. */
static inline int64_t seawall_find(const seawall_board *board, const char *name) {
    uint64_t hash = 0xCBF29CE484222325u;
    size_t size = strlen(name);
    for (size_t k = 0; k < size; k++) hash = (hash ^ (unsigned char)name[k]) * 0x100000001B3u;
    int64_t slot = (int64_t)(hash ^ hash >> 32) & (board->slots - 1);
    for (int64_t looked = 0; looked < board->slots; looked++, slot = (slot + 1) & (board->slots - 1)) {
        int32_t row;
        int64_t entry[2];
        char part[256];
        size_t same = 0;
        if (pread(board->names, &row, 4, SEAWALL_LINE_BYTES + 4 * slot) != 4 || row < 1 || row > board->rows) return -1;
        if (pread(board->names, entry, 16, SEAWALL_LINE_BYTES + 4 * board->slots + 16 * (int64_t)(row - 1)) != 16)
            return -1;
        if (entry[1] != (int64_t)size) continue;
        while (same < size) {
            size_t chunk = size - same < sizeof part ? size - same : sizeof part;
            if (pread(board->names, part, chunk, entry[0] + (int64_t)same) != (ssize_t)chunk ||
                memcmp(part, name + same, chunk) != 0)
                break;
            same += chunk;
        }
        if (same == size) return row - 1;
    }
    return -1;
}

static inline const char *seawall_words(int answer) {
    static const char *const words[] = {"ok",   "stale",       "closed", "replaced", "unpublished",
                                        "busy", "no such row", "no file", "no board"};
    return answer >= 0 && answer <= 8 ? words[answer] : "?";
}

#endif

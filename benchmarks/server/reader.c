/* The server's own ceiling: a closed loop that only counts events and notes when the first content of a stream came.
 * It parses no HTTP and no JSON, so whatever it cannot do on this machine, no client can.
 *
 * Usage: reader [--patient] http://127.0.0.1:PORT/PATH/v1 USERS SECONDS     prints the JSON line of every client
 *
 * A reader that takes each write at once makes the server wake it each time, which costs the server more than the
 * write. --patient looks every 0.1 ms instead, as a client does that has other work: the server is fastest then.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CARRY = 16, READ_SIZE = 1 << 16, PATIENCE_NS = 100000 };
static const char CONTENT[] = "{\"content\"", END[] = "\r\n0\r\n\r\n";

struct user {
    int fd, number, asked, tail_len;
    char tail[CARRY]; /* the end of the last read: what is looked for may lie across two */
    int64_t first;
};

struct found {
    int user, number;
    int64_t first;
};

static struct found *firsts;
static size_t firsts_len, firsts_cap;
static unsigned long long events, streams, complete;
static int64_t begun, until, ended;
static char path[256];

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ask(struct user *u) {
    static const char body[] =
        "{\"model\":\"bench\",\"messages\":[{\"role\":\"user\",\"content\":\"Say token again and again, please, for "
        "this benchmark.\"}],\"max_tokens\":128,\"stream\":true,\"stream_options\":{\"include_usage\":true}}";
    char request[1024];
    int n = sprintf(request,
                    "POST %s/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Id: u%d-%d\r\n"
                    "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                    path, u->number, u->asked++, sizeof body - 1, body);
    u->first = 0;
    u->tail_len = 0;
    streams++;
    if (send(u->fd, request, (size_t)n, MSG_NOSIGNAL) != n) exit((perror("send"), 1));
}

static void over(struct user *u) {
    ended = now_ns();
    complete++;
    if (firsts_len == firsts_cap) {
        firsts_cap = firsts_cap ? firsts_cap * 2 : 4096;
        firsts = realloc(firsts, firsts_cap * sizeof *firsts);
        if (!firsts) abort();
    }
    firsts[firsts_len++] = (struct found){u->number, u->asked - 1, u->first};
    if (ended < until) ask(u);
    else close(u->fd), u->fd = -1;
}

/* 1: the user is done for good. */
static int readable(struct user *u) {
    static char buffer[CARRY + READ_SIZE];
    ssize_t n = recv(u->fd, buffer + CARRY, READ_SIZE, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) exit((perror("recv"), 1));
    int64_t at = now_ns();
    const char *from = buffer + CARRY - u->tail_len, *stop = buffer + CARRY + n;
    memcpy(buffer + CARRY - u->tail_len, u->tail, (size_t)u->tail_len);
    if (!u->first && memmem(from, (size_t)(stop - from), CONTENT, sizeof CONTENT - 1)) u->first = at;
    const char *look = u->tail_len ? buffer + CARRY - 1 : buffer + CARRY;
    while ((look = memchr(look, '\n', (size_t)(stop - look))) && look + 1 < stop)
        if (*++look == '\n') events++;
    u->tail_len = stop - from < CARRY ? (int)(stop - from) : CARRY;
    memcpy(u->tail, stop - u->tail_len, (size_t)u->tail_len);
    int whole = (size_t)u->tail_len >= sizeof END - 1 && !memcmp(stop - (sizeof END - 1), END, sizeof END - 1);
    if (whole) over(u);
    return u->fd < 0;
}

static void open_user(struct user *u, int epoll, int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    u->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (u->fd < 0 || connect(u->fd, (struct sockaddr *)&to, sizeof to)) exit((perror("connect"), 1));
    setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = u};
    epoll_ctl(epoll, EPOLL_CTL_ADD, u->fd, &e);
    ask(u);
}

static double peak_mb(void) { /* getrusage would tell at least what the parent held */
    char line[256];
    double kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1) break;
    if (status) fclose(status);
    return kb / 1024;
}

static void tell(void) {
    printf("{\"ended_ns\":%lld,\"streams\":%llu,\"complete\":%llu,\"events\":%llu,\"rss_mb\":%.1f,\"firsts\":{",
           (long long)ended, streams, complete, events, peak_mb());
    for (size_t i = 0; i < firsts_len; i++)
        printf("%s\"u%d-%d\":%lld", i ? "," : "", firsts[i].user, firsts[i].number, (long long)firsts[i].first);
    printf("}}\n");
}

int main(int argc, char **argv) {
    int patient = argc == 5 && !strcmp(argv[1], "--patient");
    char **given = argv + 1 + patient;
    int port, users = argc == 4 + patient ? atoi(given[1]) : 0, open = 0, gone = 0;
    if (users < 1 || sscanf(given[0], "http://127.0.0.1:%d%255s", &port, path) != 2)
        return fprintf(stderr, "usage: reader [--patient] http://127.0.0.1:PORT/PATH/v1 USERS SECONDS\n"), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct user *all = calloc((size_t)users, sizeof *all);
    if (!all) abort();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    begun = now_ns();
    until = begun + (int64_t)(atof(given[2]) * 1e9);
    while (gone < users) {
        /* starts are spread over one second, as every client of the benchmark spreads them */
        for (; open < users && now_ns() >= begun + (int64_t)1000000000 * open / users; open++) {
            all[open].number = open;
            open_user(&all[open], epoll, port);
        }
        struct epoll_event ready[256];
        if (patient) nanosleep(&(struct timespec){0, PATIENCE_NS}, NULL);
        int n = epoll_wait(epoll, ready, 256, open < users ? 1 : -1);
        for (int i = 0; i < n; i++) gone += readable(ready[i].data.ptr);
    }
    tell();
    return 0;
}

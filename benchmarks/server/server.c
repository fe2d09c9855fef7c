/* A load source that is never the bottleneck: an epoll server that answers every chat request with a scripted stream.
 * It knows nothing of models, accounts or prompts; it logs when it really sent the first content of each stream.
 *
 *   POST /fast/TOKENS/v1/chat/completions            one write per token, as fast as the socket takes them
 *   POST /coalesced/TOKENS/v1/chat/completions       the whole answer in one write
 *   POST /paced/TTFT_MS/GAP_US/TOKENS/v1/chat/...    the first content after TTFT_MS, then one every GAP_US
 *   GET  /stats    streams, events, how late the paced writes were and how long the server was busy, as JSON; all in ns
 *   GET  /truth    a line a stream: request-id received-ns first-content-ns last-content-ns events finished
 *   GET  /reset    forgets both
 *
 * Instants are CLOCK_MONOTONIC nanoseconds, taken just before the send. Usage: server [PORT], prints the port it took.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { REQUEST_CAP = 1 << 20, BURST = 32, LAG_BUCKETS = 1 << 16, ID_SIZE = 72 };
enum mode { IDLE, FAST, COALESCED, PACED };

struct truth {
    char id[ID_SIZE];
    int64_t received, first, last;
    int events, finished;
};

struct conn {
    int fd, heap_at;
    enum mode mode;
    char *in;
    size_t in_len, in_cap;
    char *out; /* what the socket did not take yet */
    size_t out_len, out_at, out_cap;
    char token[320];
    int token_len, tokens, sent, usage, close_after;
    int64_t due, gap;
    size_t truth;
    unsigned long long stream;
};

static int epoll, timer;
static struct conn **heap;
static size_t heap_len, heap_cap;
static struct truth *truths;
static size_t truths_len, truths_cap;
static unsigned long long streams, events;
static unsigned lag[LAG_BUCKETS]; /* 10 us each */
static uint64_t lag_n;
static int64_t lag_max;
static struct conn **busy; /* fast streams whose socket may take more */
static size_t busy_len, busy_cap;

static int64_t told_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ns(void) {
    return told_ns(CLOCK_MONOTONIC);
}

static void *grown(void *block, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) return block;
    while (*cap < need) *cap = *cap ? *cap * 2 : 1024;
    block = realloc(block, *cap * size);
    if (!block) abort();
    return block;
}

/* ---- the timetable: a binary heap of paced streams by due time ---- */

static void heap_set(size_t at, struct conn *c) {
    heap[at] = c;
    c->heap_at = (int)at;
}

static void heap_sift(size_t at) {
    struct conn *c = heap[at];
    while (at && heap[(at - 1) / 2]->due > c->due) {
        heap_set(at, heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap_len) break;
        if (child + 1 < heap_len && heap[child + 1]->due < heap[child]->due) child++;
        if (heap[child]->due >= c->due) break;
        heap_set(at, heap[child]);
        at = child;
    }
    heap_set(at, c);
}

static void heap_add(struct conn *c) {
    heap = grown(heap, &heap_cap, heap_len + 1, sizeof *heap);
    heap_set(heap_len++, c);
    heap_sift(heap_len - 1);
}

static void heap_remove(struct conn *c) {
    if (c->heap_at < 0) return;
    size_t at = (size_t)c->heap_at;
    c->heap_at = -1;
    struct conn *last = heap[--heap_len];
    if (last == c) return;
    heap_set(at, last);
    heap_sift(at);
}

/* ---- sockets ---- */

static void watch(struct conn *c, uint32_t what) {
    struct epoll_event e = {.events = what, .data.ptr = c};
    epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void drop(struct conn *c) {
    heap_remove(c);
    for (size_t i = 0; i < busy_len; i++)
        if (busy[i] == c) busy[i--] = busy[--busy_len];
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

/* 0: the peer is gone. What the socket does not take waits in `out`. */
static int put(struct conn *c, const char *data, size_t len) {
    if (c->out_len == c->out_at) {
        ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL);
        if (n == (ssize_t)len) return 1;
        if (n < 0 && errno != EAGAIN) return 0;
        if (n > 0) data += n, len -= (size_t)n;
        c->out_len = c->out_at = 0;
        watch(c, EPOLLIN | EPOLLOUT);
    }
    c->out = grown(c->out, &c->out_cap, c->out_len + len, 1);
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
    return 1;
}

static int flush(struct conn *c) {
    ssize_t n = send(c->fd, c->out + c->out_at, c->out_len - c->out_at, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    c->out_at += (size_t)n;
    if (c->out_at == c->out_len) {
        c->out_at = c->out_len = 0;
        watch(c, EPOLLIN);
    }
    return 1;
}

/* ---- the stream ---- */

static int framed(char *to, const char *event) {
    return sprintf(to, "%zx\r\n%s\r\n", strlen(event), event);
}

static int chunk(struct conn *c, char *to, const char *choices, const char *usage) {
    char event[640];
    sprintf(event,
            "data: {\"id\":\"chatcmpl-%llu\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,"
            "\"model\":\"bench\",\"choices\":[%s]%s}\n\n",
            c->stream, choices, usage);
    return framed(to, event);
}

static int head(struct conn *c, char *to) {
    int n = sprintf(to,
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Request-Id: %s\r\n"
                    "Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n%s\r\n",
                    truths[c->truth].id, c->close_after ? "Connection: close\r\n" : "");
    events++;
    truths[c->truth].events++;
    return n + chunk(c, to + n, "{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}", "");
}

static int tail(struct conn *c, char *to) {
    char usage[160];
    int n = chunk(c, to, "{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", "");
    int more = 2;
    if (c->usage) {
        sprintf(usage, ",\"usage\":{\"prompt_tokens\":16,\"completion_tokens\":%d,\"total_tokens\":%d}", c->tokens,
                c->tokens + 16);
        n += chunk(c, to + n, "", usage);
        more++;
    }
    n += framed(to + n, "data: [DONE]\n\n");
    n += sprintf(to + n, "0\r\n\r\n");
    events += (unsigned)more;
    truths[c->truth].events += more;
    truths[c->truth].finished = 1;
    return n;
}

static int one_token(struct conn *c) {
    struct truth *t = &truths[c->truth];
    t->last = now_ns();
    if (!c->sent++) t->first = t->last;
    t->events++;
    events++;
    return put(c, c->token, (size_t)c->token_len);
}

static int finish(struct conn *c) {
    char end[2048];
    c->mode = IDLE;
    if (!put(c, end, (size_t)tail(c, end))) return 0;
    if (c->close_after) shutdown(c->fd, SHUT_WR);
    return 1;
}

static void late(int64_t by) {
    int64_t bucket = by / 10000;
    lag[bucket < 0 ? 0 : bucket >= LAG_BUCKETS ? LAG_BUCKETS - 1 : bucket]++;
    lag_n++;
    if (by > lag_max) lag_max = by;
}

static int64_t lag_quantile(double q) {
    uint64_t seen = 0, want = (uint64_t)((double)lag_n * q);
    for (int i = 0; i < LAG_BUCKETS; i++)
        if ((seen += lag[i]) > want) return (int64_t)(i + 1) * 10000;
    return 0;
}

static int paced_step(struct conn *c) {
    char first[2048];
    late(now_ns() - c->due);
    if (!c->sent && !put(c, first, (size_t)head(c, first))) return 0;
    if (!one_token(c)) return 0;
    heap_remove(c);
    if (c->sent == c->tokens) return finish(c);
    c->due += c->gap;
    heap_add(c);
    return 1;
}

static int fast_step(struct conn *c) {
    for (int i = 0; i < BURST && c->sent < c->tokens && c->out_len == c->out_at; i++)
        if (!one_token(c)) return 0;
    return c->sent < c->tokens || finish(c);
}

static int coalesced(struct conn *c) {
    size_t len = 0;
    char *all = malloc((size_t)c->tokens * sizeof c->token + 4096);
    if (!all) abort();
    len += (size_t)head(c, all);
    for (int i = 0; i < c->tokens; i++, len += (size_t)c->token_len) memcpy(all + len, c->token, (size_t)c->token_len);
    events += (unsigned)c->tokens;
    truths[c->truth].events += c->tokens;
    len += (size_t)tail(c, all + len);
    truths[c->truth].first = truths[c->truth].last = now_ns();
    c->mode = IDLE;
    int alive = put(c, all, len);
    free(all);
    return alive;
}

/* ---- requests ---- */

static void header(const char *request, const char *name, char *to, size_t size) {
    const char *at = strcasestr(request, name);
    size_t n = 0;
    if (at)
        for (at += strlen(name); *at == ' ';) at++;
    for (; at && *at && *at != '\r' && n + 1 < size; n++) to[n] = *at++;
    to[n] = 0;
}

static int answer(struct conn *c, const char *type, const char *body, size_t len) {
    char top[256];
    int n = sprintf(top, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, len);
    return put(c, top, (size_t)n) && put(c, body, len);
}

static int start(struct conn *c, const char *path, int64_t received) {
    int ttft_ms = 0, gap_us = 0;
    if (sscanf(path, "/fast/%d/", &c->tokens) == 1) c->mode = FAST;
    else if (sscanf(path, "/coalesced/%d/", &c->tokens) == 1) c->mode = COALESCED;
    else if (sscanf(path, "/paced/%d/%d/%d/", &ttft_ms, &gap_us, &c->tokens) == 3) c->mode = PACED;
    else return 0;
    if (c->tokens < 1) c->tokens = 1;
    c->stream = ++streams;
    c->sent = 0;
    c->token_len = chunk(c, c->token, "{\"index\":0,\"delta\":{\"content\":\" token\"},\"finish_reason\":null}", "");
    truths = grown(truths, &truths_cap, truths_len + 1, sizeof *truths);
    c->truth = truths_len++;
    memset(&truths[c->truth], 0, sizeof *truths);
    truths[c->truth].received = received;
    header(c->in, "\r\nx-request-id:", truths[c->truth].id, ID_SIZE);
    if (!*truths[c->truth].id) sprintf(truths[c->truth].id, "bench-%llu", c->stream);
    if (c->mode == COALESCED) return coalesced(c);
    if (c->mode == PACED) {
        c->gap = (int64_t)gap_us * 1000;
        c->due = received + (int64_t)ttft_ms * 1000000;
        heap_add(c);
        return 1;
    }
    char first[2048];
    if (!put(c, first, (size_t)head(c, first))) return 0;
    busy = grown(busy, &busy_cap, busy_len + 1, sizeof *busy);
    busy[busy_len++] = c;
    return 1;
}

static int tell_truth(struct conn *c) {
    char *all = malloc(truths_len * (ID_SIZE + 100) + 1);
    size_t len = 0;
    if (!all) abort();
    for (size_t i = 0; i < truths_len; i++)
        len += (size_t)sprintf(all + len, "%s %lld %lld %lld %d %d\n", truths[i].id, (long long)truths[i].received,
                               (long long)truths[i].first, (long long)truths[i].last, truths[i].events,
                               truths[i].finished);
    int alive = answer(c, "text/plain", all, len);
    free(all);
    return alive;
}

static int serve(struct conn *c, int64_t received) {
    char text[512], path[256] = "";
    char *end = memmem(c->in, c->in_len, "\r\n\r\n", 4);
    if (!end) return c->in_len < REQUEST_CAP;
    end[2] = 0; /* the head is a string from here on */
    header(c->in, "\r\ncontent-length:", text, sizeof text);
    size_t whole = (size_t)(end - c->in) + 4 + (size_t)atol(text);
    if (c->in_len < whole) {
        end[2] = '\r';
        return whole < REQUEST_CAP;
    }
    header(c->in, "\r\nconnection:", text, sizeof text);
    c->close_after = !strcasecmp(text, "close");
    c->usage = memmem(end + 4, c->in_len - (size_t)(end + 4 - c->in), "include_usage", 13) != NULL;
    sscanf(c->in, "%*s %255s", path);
    int alive;
    if (!strncmp(path, "/stats", 6)) {
        int n = sprintf(text,
                        "{\"streams\":%llu,\"events\":%llu,\"lag_n\":%llu,\"lag_p50\":%lld,\"lag_p99\":%lld,\"lag_max\":%lld,"
                        "\"busy\":%lld}",
                        streams, events, (unsigned long long)lag_n, (long long)lag_quantile(.5),
                        (long long)lag_quantile(.99), (long long)lag_max, (long long)told_ns(CLOCK_PROCESS_CPUTIME_ID));
        alive = answer(c, "application/json", text, (size_t)n);
    } else if (!strncmp(path, "/truth", 6)) {
        alive = tell_truth(c);
    } else if (!strncmp(path, "/reset", 6)) {
        /* a stream still running keeps its line: the log is only forgotten when nothing is in flight */
        if (!heap_len && !busy_len) truths_len = 0;
        memset(lag, 0, sizeof lag);
        lag_n = 0, lag_max = 0, events = 0;
        alive = answer(c, "text/plain", "ok", 2);
    } else if (strstr(path, "/models")) {
        const char *models = "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"owned_by\":\"bench\"}]}";
        alive = answer(c, "application/json", models, strlen(models));
    } else {
        alive = start(c, path, received);
    }
    memmove(c->in, c->in + whole, c->in_len - whole);
    c->in_len -= whole;
    return alive;
}

static int readable(struct conn *c) {
    int64_t received = now_ns();
    for (;;) {
        c->in = grown(c->in, &c->in_cap, c->in_len + 4096, 1);
        ssize_t n = recv(c->fd, c->in + c->in_len, c->in_cap - c->in_len - 1, 0);
        if (n < 0) break;
        if (n == 0) return 0;
        c->in_len += (size_t)n;
        c->in[c->in_len] = 0;
    }
    return errno == EAGAIN && (c->mode != IDLE || !c->in_len || serve(c, received));
}

static void accepted(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof *c);
        if (!c) abort();
        c->fd = fd;
        c->heap_at = -1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static void run_due(void) {
    while (heap_len && heap[0]->due <= now_ns())
        if (!paced_step(heap[0])) drop(heap[0]);
    struct itimerspec when = {{0, 0}, {0, 0}};
    if (heap_len) {
        when.it_value.tv_sec = heap[0]->due / 1000000000;
        when.it_value.tv_nsec = heap[0]->due % 1000000000;
    }
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run_busy(void) {
    for (size_t i = 0; i < busy_len; i++) {
        struct conn *c = busy[i];
        if (!fast_step(c)) {
            drop(c);
            i--;
        } else if (c->mode == IDLE) {
            busy[i--] = busy[--busy_len];
        }
    }
}

static int blocked(void) { /* every fast stream waits for its socket */
    for (size_t i = 0; i < busy_len; i++)
        if (busy[i]->out_len == busy[i]->out_at) return 0;
    return 1;
}

int main(int argc, char **argv) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t at_len = sizeof at;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    at.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 0));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return perror("listen"), 1;
    getsockname(listener, (struct sockaddr *)&at, &at_len);
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listener};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e);
    e.data.ptr = &timer;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e);
    for (;;) {
        struct epoll_event ready[256];
        int n = epoll_wait(epoll, ready, 256, blocked() ? -1 : 0);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == &listener) {
                accepted(listener);
            } else if (ready[i].data.ptr == &timer) {
                uint64_t fired;
                if (read(timer, &fired, sizeof fired) < 0 && errno != EAGAIN) return 1;
            } else {
                struct conn *c = ready[i].data.ptr;
                int alive = !(ready[i].events & (EPOLLERR | EPOLLHUP));
                if (alive && ready[i].events & EPOLLIN) alive = readable(c);
                if (alive && ready[i].events & EPOLLOUT && c->out_len > c->out_at) alive = flush(c);
                if (!alive) drop(c);
            }
        }
        run_due();
        run_busy();
    }
}

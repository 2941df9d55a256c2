#include "connectors/kafka/kafka_mock.h"

#include <errno.h>
#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOCK_START_MS = 10000 };

struct kafka_mock {
    pid_t child;
    char servers[256];
};

/* "=servers" or "!what is wrong" to the parent. */
static void mock_say(int fd, char kind, const char *text)
{
    char line[sizeof(((struct kafka_mock *)0)->servers)];
    int n = snprintf(line, sizeof(line), "%c%s", kind, text);
    ssize_t written = write(fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
    (void)written; /* the parent sees the end of the pipe */
    (void)close(fd);
}

static void mock_silent(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

/* Never returns; ends by a signal. */
__attribute__((noreturn)) static void mock_child(const struct kafka_mock_topic *topics, int n_topics, int fd,
                                                 pid_t parent)
{
    char text[200];
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    (void)close_range(3, (unsigned)fd - 1, 0); /* locks and sockets of the parent are not the child's to hold */
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    (void)signal(SIGINT, SIG_IGN); /* Ctrl-C is for the parent, which still has to drain */
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGPIPE, SIG_IGN);

    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, mock_silent);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    rd_kafka_mock_cluster_t *cluster = rk ? rd_kafka_mock_cluster_new(rk, 1) : NULL;
    if (!cluster) {
        mock_say(fd, '!', rk ? "librdkafka makes no mock cluster" : text);
        _exit(1);
    }
    for (int i = 0; i < n_topics; i++) {
        rd_kafka_resp_err_t code = rd_kafka_mock_topic_create(cluster, topics[i].name, topics[i].n_partitions, 1);
        if (!code) continue;
        mock_say(fd, '!', rd_kafka_err2str(code));
        _exit(1);
    }
    mock_say(fd, '=', rd_kafka_mock_cluster_bootstraps(cluster));
    for (;;) (void)pause();
}

static eddy_status mock_read_servers(struct kafka_mock *m, int fd, struct eddy_error *err)
{
    char line[sizeof(m->servers)];
    size_t len = 0;
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, MOCK_START_MS);
        if (ready < 0 && errno == EINTR) continue;
        ssize_t n = ready > 0 && len < sizeof(line) - 1 ? read(fd, line + len, sizeof(line) - 1 - len) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        len += (size_t)n;
    }
    line[len] = '\0';
    if (len < 2 || line[0] != '=')
        return eddy_fail(err, EDDY_EIO, "the mock cluster did not start: %s", len > 1 ? line + 1 : "no answer");
    memcpy(m->servers, line + 1, len);
    return EDDY_OK;
}

eddy_status kafka_mock_open(const struct kafka_mock_topic *topics, int n_topics, struct kafka_mock **out,
                            struct eddy_error *err)
{
    int fds[2] = {-1, -1};
    *out = NULL;
    struct kafka_mock *m = calloc(1, sizeof(*m));
    if (!m) return eddy_fail(err, EDDY_ENOMEM, "mock cluster: out of memory");
    eddy_status rc;
    if (pipe2(fds, O_CLOEXEC) != 0) {
        rc = eddy_fail(err, EDDY_EIO, "mock cluster: cannot make a pipe: %s", strerror(errno));
        goto fail;
    }
    pid_t parent = getpid();
    m->child = fork();
    if (m->child < 0) {
        m->child = 0;
        rc = eddy_fail(err, EDDY_EIO, "mock cluster: cannot fork: %s", strerror(errno));
        goto fail;
    }
    if (m->child == 0) {
        (void)close(fds[0]);
        mock_child(topics, n_topics, fds[1], parent);
    }
    (void)close(fds[1]);
    fds[1] = -1;
    rc = mock_read_servers(m, fds[0], err);
    if (rc < 0) goto fail;
    (void)close(fds[0]);
    *out = m;
    return EDDY_OK;
fail:
    if (fds[0] >= 0) (void)close(fds[0]);
    if (fds[1] >= 0) (void)close(fds[1]);
    kafka_mock_close(m);
    return rc;
}

const char *kafka_mock_servers(const struct kafka_mock *m)
{
    return m->servers;
}

void kafka_mock_close(struct kafka_mock *m)
{
    if (!m) return;
    if (m->child > 0) {
        (void)kill(m->child, SIGKILL);
        while (waitpid(m->child, NULL, 0) < 0 && errno == EINTR) continue;
    }
    free(m);
}

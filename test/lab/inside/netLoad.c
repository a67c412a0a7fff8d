/*
 * What the lab's guests do with a network: an echo server, and clients that ask one. A client prints how often it was
 * answered and how many microseconds that took, and fails at the first wrong answer. Statically linked: see ../labDisk.ts.
 *
 *   netLoad echo PORT               TCP and UDP, both address families, until it is killed
 *   netLoad many ADDRESS PORT N     N TCP connections at once, each asks once
 *   netLoad short ADDRESS PORT N    N TCP connections, one after the other
 *   netLoad turns ADDRESS PORT N    N questions on one TCP connection, each after the answer to the one before
 *   netLoad udp ADDRESS PORT        datagrams of 1 to 65507 bytes, over IPv6 65527
 *   netLoad mtu ADDRESS PORT        prints what the path takes, as this kernel has learned it of a datagram with DF
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define QUESTION 100
#define PATIENCE_MS 20000
#define UDP_TRIES 5
#define ETHERNET_MTU 1500

static char buffer[65536];

static void fail(const char *what)
{
	fprintf(stderr, "netLoad: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* IPv4 addresses as IPv6's mapped ones. */
static struct sockaddr_in6 peer(const char *address, const char *port)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(atoi(port)) };
	char mapped[64];
	snprintf(mapped, sizeof mapped, strchr(address, ':') ? "%s" : "::ffff:%s", address);
	if (inet_pton(AF_INET6, mapped, &to.sin6_addr) != 1)
		fail(address);
	return to;
}

static int connected(const struct sockaddr_in6 *to, int type)
{
	int fd = socket(AF_INET6, type, 0);
	if (fd < 0)
		fail("socket");
	if (connect(fd, (const struct sockaddr *)to, sizeof *to) < 0 && errno != EINPROGRESS)
		fail("connect");
	return fd;
}

static void fill(char *into, int length, unsigned seed)
{
	for (int i = 0; i < length; i++)
		into[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
}

/* Waits for what is to come; a server that is silent is an error. */
static void await(int fd, short events)
{
	struct pollfd wanted = { .fd = fd, .events = events };
	int ready = poll(&wanted, 1, PATIENCE_MS);
	if (ready == 0)
		errno = ETIMEDOUT;
	if (ready != 1)
		fail("poll");
}

static void ask(int fd, unsigned seed)
{
	char question[QUESTION], answer[QUESTION];
	fill(question, QUESTION, seed);
	if (write(fd, question, QUESTION) != QUESTION)
		fail("write");
	for (int have = 0; have < QUESTION;) {
		await(fd, POLLIN);
		ssize_t got = read(fd, answer + have, QUESTION - have);
		if (got <= 0)
			fail("read");
		have += got;
	}
	if (memcmp(question, answer, QUESTION) != 0)
		fail("another answer than the question");
}

static void many(const struct sockaddr_in6 *to, int count)
{
	int *fds = malloc(count * sizeof *fds);
	for (int i = 0; i < count; i++)
		fds[i] = connected(to, SOCK_STREAM | SOCK_NONBLOCK);
	for (int i = 0; i < count; i++)
		await(fds[i], POLLOUT);
	for (int i = 0; i < count; i++)
		ask(fds[i], i);
	for (int i = 0; i < count; i++)
		close(fds[i]);
}

static void turns(const struct sockaddr_in6 *to, int count)
{
	int fd = connected(to, SOCK_STREAM), on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (int i = 0; i < count; i++)
		ask(fd, i);
	close(fd);
}

static void inTurn(const struct sockaddr_in6 *to, int count)
{
	/* Closed with a reset, or TIME_WAIT would take all ports. */
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };
	for (int i = 0; i < count; i++) {
		int fd = connected(to, SOCK_STREAM);
		ask(fd, i);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
		close(fd);
	}
}

/* A datagram may be lost: it is sent again, a few times. */
static void exchange(int fd, int length)
{
	char answer[65536];
	struct pollfd wanted = { .fd = fd, .events = POLLIN };
	fill(buffer, length, length);
	for (int try = 0; try < UDP_TRIES; try++) {
		if (send(fd, buffer, length, 0) != length)
			fail("send");
		while (poll(&wanted, 1, PATIENCE_MS / UDP_TRIES) == 1) {
			ssize_t got = recv(fd, answer, sizeof answer, 0);
			if (got < 0)
				fail("recv");
			if (got == length && memcmp(buffer, answer, length) == 0)
				return;
		}
	}
	fprintf(stderr, "netLoad: no answer to %d bytes\n", length);
	exit(1);
}

static int udp(const struct sockaddr_in6 *to)
{
	static const int lengths[] = { 1, 2, 64, 511, 512, 1472, 1473, 2048, 8192, 16384, 32768, 65000, 65506, 65507, 65527 };
	int count = sizeof lengths / sizeof *lengths - (IN6_IS_ADDR_V4MAPPED(&to->sin6_addr) ? 1 : 0);
	int fd = connected(to, SOCK_DGRAM);
	for (int i = 0; i < count; i++)
		exchange(fd, lengths[i]);
	return count;
}

/* An answer or an error ends each wait; an answer is no news of the path. */
static int pathMtu(const struct sockaddr_in6 *to)
{
	int isMapped = IN6_IS_ADDR_V4MAPPED(&to->sin6_addr), level = isMapped ? IPPROTO_IP : IPPROTO_IPV6;
	int fd = connected(to, SOCK_DGRAM), whole = IP_PMTUDISC_DO, mtu = 0;
	socklen_t size = sizeof mtu;
	if (setsockopt(fd, level, isMapped ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER, &whole, sizeof whole) < 0)
		fail("DF");
	for (int try = 0; try < UDP_TRIES; try++) {
		struct pollfd wanted = { .fd = fd, .events = POLLIN };
		if (send(fd, buffer, ETHERNET_MTU - 100, 0) >= 0)
			poll(&wanted, 1, PATIENCE_MS / UDP_TRIES);
		recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
		if (getsockopt(fd, level, isMapped ? IP_MTU : IPV6_MTU, &mtu, &size) < 0)
			fail("MTU");
		if (mtu < ETHERNET_MTU)
			break;
	}
	return mtu;
}

static int bound(int port, int type)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int on = 1, off = 0, fd = socket(AF_INET6, type, 0);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
		fail("bind");
	return fd;
}

static void echoDatagram(int fd)
{
	struct sockaddr_in6 from;
	socklen_t length = sizeof from;
	ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &length);
	if (got >= 0)
		sendto(fd, buffer, got, 0, (struct sockaddr *)&from, length);
}

/* 0: it has ended. Answers are small enough for the socket to take them at once. */
static int echoSome(int fd)
{
	ssize_t got = read(fd, buffer, sizeof buffer);
	return got > 0 && write(fd, buffer, got) == got;
}

static void echo(int port)
{
	int server = bound(port, SOCK_STREAM), datagrams = bound(port, SOCK_DGRAM), set = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN };
	if (listen(server, 4096) < 0)
		fail("listen");
	for (int i = 0; i < 2; i++) {
		event.data.fd = i == 0 ? server : datagrams;
		epoll_ctl(set, EPOLL_CTL_ADD, event.data.fd, &event);
	}
	for (;;) {
		if (epoll_wait(set, &event, 1, -1) != 1)
			continue;
		int fd = event.data.fd;
		if (fd == datagrams) {
			echoDatagram(fd);
		} else if (fd == server) {
			event.data.fd = accept(server, NULL, NULL);
			epoll_ctl(set, EPOLL_CTL_ADD, event.data.fd, &event);
		} else if (!echoSome(fd)) {
			close(fd);
		}
	}
}

static long microseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

/* How many questions were answered; -1: there is no such load. */
static int run(const char *load, const struct sockaddr_in6 *to, int count)
{
	if (strcmp(load, "udp") == 0)
		return udp(to);
	if (strcmp(load, "many") == 0)
		many(to, count);
	else if (strcmp(load, "short") == 0)
		inTurn(to, count);
	else if (strcmp(load, "turns") == 0)
		turns(to, count);
	else
		return -1;
	return count;
}

int main(int argc, char **argv)
{
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc == 3 && strcmp(argv[1], "echo") == 0)
		echo(atoi(argv[2]));
	if (argc == 4 || argc == 5) {
		struct sockaddr_in6 to = peer(argv[2], argv[3]);
		long start = microseconds();
		if (strcmp(argv[1], "mtu") == 0)
			return printf("mtu: %d\n", pathMtu(&to)) < 0;
		int answered = run(argv[1], &to, argc == 5 ? atoi(argv[4]) : 0);
		if (answered >= 0)
			return printf("answered: %d in %ld us\n", answered, microseconds() - start) < 0;
	}
	fprintf(stderr, "netLoad: unknown arguments\n");
	return 2;
}

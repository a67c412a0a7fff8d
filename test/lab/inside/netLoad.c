/*
 * What the lab's guests do with a network: an echo server, and clients that ask one. A client prints how often it was
 * answered and how many microseconds that took, and fails at the first wrong answer. Statically linked: see ../labDisk.ts.
 *
 *   netLoad echo PORT               TCP and UDP, both address families, until it is killed
 *   netLoad many ADDRESS PORT N     N TCP connections at once, each asks once
 *   netLoad short ADDRESS PORT N    N TCP connections, one after the other
 *   netLoad turns ADDRESS PORT N    N questions on one TCP connection, each after the answer to the one before
 *   netLoad udp ADDRESS PORT        datagrams of 1 to 65507 bytes, over IPv6 65527
 *   netLoad down ADDRESS PORT N     reads N chunks, as chunks.ts has them, on one TCP connection, and its end
 *   netLoad up ADDRESS PORT N       writes as many
 *   netLoad vsock CID PORT N        writes N chunks to a vsock that sends back what it gets, and reads them
 *   netLoad vsockEcho PORT          such a server, until it is killed
 *   netLoad tree FOLDER N           makes N files, in folders of 200; their sizes differ, their data are of their numbers
 *   netLoad isTree FOLDER N         reads such a tree
 *   netLoad mtu ADDRESS PORT        prints what the path takes, as this kernel has learned it of a datagram with DF
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUESTION 100
#define PATIENCE_MS 20000
#define UDP_TRIES 5
#define ETHERNET_MTU 1500
#define CHUNK_BYTES (1 << 20)
#define FOLDER_FILES 200
#define MOST_FILE_BYTES 4096

static char buffer[65536];
static unsigned chunk[CHUNK_BYTES / sizeof(unsigned)];

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

/* Each chunk begins with its number, so that one in another's place is seen. */
static void makeChunk(unsigned number)
{
	for (unsigned at = 0; number == 0 && at < CHUNK_BYTES; at += sizeof *chunk)
		chunk[at / sizeof *chunk] = at * 0x9e3779b1;
	chunk[0] = number;
}

static void readChunks(int fd, int count)
{
	for (int i = 0; i < count; i++) {
		makeChunk(i);
		for (size_t have = 0, left; (left = CHUNK_BYTES - have) > 0;) {
			ssize_t got = read(fd, buffer, left < sizeof buffer ? left : sizeof buffer);
			if (got <= 0)
				fail("read");
			if (memcmp(buffer, (char *)chunk + have, got) != 0)
				fail("other data than was sent");
			have += got;
		}
	}
	if (read(fd, buffer, 1) != 0)
		fail("more than was sent");
}

static void writeAll(int fd, const void *from, size_t length)
{
	for (size_t have = 0; have < length;) {
		ssize_t put = write(fd, (const char *)from + have, length - have);
		if (put <= 0)
			fail("write");
		have += put;
	}
}

static void writeChunks(int fd, int count)
{
	for (int i = 0; i < count; i++) {
		makeChunk(i);
		writeAll(fd, chunk, CHUNK_BYTES);
	}
	shutdown(fd, SHUT_WR);
}

/* Some are empty. One process for all of them: to start one takes the emulator as long as many files do. */
static void eachFile(const char *tree, int count, void (*use)(const char *path, int bytes))
{
	char path[256];
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "%s/%d", tree, i / FOLDER_FILES);
		if (i % FOLDER_FILES == 0)
			mkdir(path, 0755); /* where it has to be there, open says so */
		snprintf(path, sizeof path, "%s/%d/%d", tree, i / FOLDER_FILES, i);
		int bytes = i % 7 == 0 ? 0 : i * 997 % (MOST_FILE_BYTES + 1);
		fill(buffer, bytes, i);
		use(path, bytes);
	}
}

static void makeFile(const char *path, int bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd < 0)
		fail(path);
	writeAll(fd, buffer, bytes);
	close(fd);
}

static void checkFile(const char *path, int bytes)
{
	char found[MOST_FILE_BYTES + 1];
	int fd = open(path, O_RDONLY);
	if (fd < 0)
		fail(path);
	if (read(fd, found, sizeof found) != bytes || memcmp(buffer, found, bytes) != 0)
		fail("other data than were written");
	close(fd);
}

static int vsock(unsigned cid, unsigned port, int (*use)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	if (fd < 0 || use(fd, (const struct sockaddr *)&address, sizeof address) < 0)
		fail("vsock");
	return fd;
}

static void sendBothWays(int fd, int count)
{
	int status;
	pid_t writer = fork();
	if (writer == 0) {
		writeChunks(fd, count);
		_exit(0);
	}
	readChunks(fd, count);
	if (waitpid(writer, &status, 0) != writer || status != 0)
		fail("the writer");
}

static void vsockEcho(int port)
{
	int server = vsock(VMADDR_CID_ANY, port, bind);
	signal(SIGCHLD, SIG_IGN);
	if (listen(server, 64) < 0)
		fail("listen");
	for (;;) {
		int fd = accept(server, NULL, NULL);
		if (fork() == 0) {
			for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;)
				writeAll(fd, buffer, got);
			_exit(0);
		}
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

/* How many questions were answered, or chunks went; -1: there is no such load. */
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
	else if (strcmp(load, "down") == 0)
		readChunks(connected(to, SOCK_STREAM), count);
	else if (strcmp(load, "up") == 0)
		writeChunks(connected(to, SOCK_STREAM), count);
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
	if (argc == 3 && strcmp(argv[1], "vsockEcho") == 0)
		vsockEcho(atoi(argv[2]));
	if (argc == 4 && strcmp(argv[1], "tree") == 0)
		return eachFile(argv[2], atoi(argv[3]), makeFile), 0;
	if (argc == 4 && strcmp(argv[1], "isTree") == 0)
		return eachFile(argv[2], atoi(argv[3]), checkFile), 0;
	if (argc == 5 && strcmp(argv[1], "vsock") == 0) {
		long start = microseconds();
		sendBothWays(vsock(atoi(argv[2]), atoi(argv[3]), connect), atoi(argv[4]));
		return printf("answered: %s in %ld us\n", argv[4], microseconds() - start) < 0;
	}
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

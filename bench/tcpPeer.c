/*
 * The other end of connections for bench/userTcp.ts: listens on loopback, prints its port and serves one
 * connection after the other until it is killed.
 *   tcpPeer sink | source | echo
 * `sink` reads and forgets, `source` sends as fast as it is read, `echo` sends back the one byte that each
 * connection brings.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[1 << 20];

static void serve(int fd, const char *mode)
{
	if (strcmp(mode, "sink") == 0)
		while (recv(fd, buffer, sizeof buffer, MSG_TRUNC) > 0)
			;
	else if (strcmp(mode, "source") == 0)
		while (send(fd, buffer, sizeof buffer, MSG_NOSIGNAL) > 0)
			;
	else
		while (recv(fd, buffer, sizeof buffer, 0) > 0 && send(fd, buffer, 1, MSG_NOSIGNAL) > 0)
			;
	close(fd);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc < 2 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4096) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return 1;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;) {
		int connection = accept(fd, NULL, NULL);
		if (connection >= 0)
			serve(connection, argv[1]);
	}
}

/*
 * kexec KERNEL INITRD: the kernel that runs now starts another, with its own command line, as it is, with
 * devices at work. (Debian's kexec needs a dozen libraries of Xen.)
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINUX_REBOOT_CMD_KEXEC 0x45584543

int main(int argc, char **argv)
{
	char line[2048];
	int cmdline = open("/proc/cmdline", O_RDONLY);
	ssize_t length = read(cmdline, line, sizeof(line));

	if (argc != 3 || length < 1)
		return 2;
	line[length - 1] = '\0'; /* for the newline */
	if (syscall(SYS_kexec_file_load, open(argv[1], O_RDONLY), open(argv[2], O_RDONLY),
		    strlen(line) + 1, line, 0) < 0) {
		perror("kexec_file_load");
		return 1;
	}
	reboot(LINUX_REBOOT_CMD_KEXEC);
	perror("reboot");
	return 1;
}

/*
 * A driver for a virtio device that only makes mistakes: QEMU writes a message for each. It takes the device from the
 * kernel's driver, and needs root in the guest.
 *
 *   virtio-flood DEVICE COUNT      /sys/bus/pci/devices/DEVICE; prints how many mistakes QEMU has seen
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* https://docs.oasis-open.org/virtio/virtio/v1.2/virtio-v1.2.html, 4.1.4 and 2.7 */
struct common {
	uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
	uint16_t msix_config, num_queues;
	uint8_t status, generation;
	uint16_t queue_select, queue_size, queue_msix, queue_enable, notify_off;
	uint32_t desc[2], driver[2], device[2];
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 0x40 };

static char directory[256];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int open_file(const char *name, int flags)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return open(path, flags);
}

static void write_file(const char *name, const char *text)
{
	int fd = open_file(name, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(name);
	close(fd);
}

static uint32_t configuration(int at, int size)
{
	uint32_t value = 0;
	int fd = open_file("config", O_RDONLY);

	if (pread(fd, &value, size, at) != size)
		die("config");
	close(fd);
	return value;
}

/* The structure of this type in the device's memory. */
static volatile char *structure(int type, uint32_t *multiplier)
{
	for (int at = configuration(0x34, 1); at != 0; at = configuration(at + 1, 1)) {
		char name[16];
		char *memory;
		int fd;

		if (configuration(at, 1) != 9 || configuration(at + 3, 1) != (uint32_t)type)
			continue;
		*multiplier = configuration(at + 16, 4);
		snprintf(name, sizeof(name), "resource%u", configuration(at + 4, 1));
		fd = open_file(name, O_RDWR | O_SYNC);
		memory = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			die(name);
		return memory + configuration(at + 8, 4);
	}
	fprintf(stderr, "no structure %d\n", type);
	exit(1);
}

/* A page of the guest's memory, full of ones: every index in it is wrong. */
static uint64_t wrong_page(void)
{
	uint64_t entry;
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (page == MAP_FAILED)
		die("mmap");
	memset(page, 0xff, 4096);
	if (pread(fd, &entry, 8, (off_t)((uintptr_t)page / 4096 * 8)) != 8)
		die("pagemap");
	return (entry & ((1ULL << 55) - 1)) * 4096;
}

int main(int argc, char *argv[])
{
	uint32_t multiplier;
	long seen = 0;

	if (argc != 3)
		return 2;
	snprintf(directory, sizeof(directory), "/sys/bus/pci/devices/%s", argv[1]);
	write_file("driver/unbind", argv[1]);
	write_file("enable", "1");
	/* Memory and bus master. */
	uint16_t command = 6;
	int fd = open_file("config", O_RDWR);

	if (pwrite(fd, &command, 2, 4) != 2)
		die("config");
	volatile struct common *common = (volatile struct common *)structure(1, &multiplier);
	volatile char *notify = structure(2, &multiplier);
	uint64_t page = wrong_page();

	for (long count = strtol(argv[2], NULL, 10); count > 0; count -= 1) {
		common->status = 0;
		common->status = ACKNOWLEDGE | DRIVER;
		common->driver_feature_select = 0;
		common->driver_feature = 0;
		/* VIRTIO_F_VERSION_1 */
		common->driver_feature_select = 1;
		common->driver_feature = 1;
		common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
		common->queue_select = 0;
		common->queue_size = 64;
		common->desc[0] = common->driver[0] = common->device[0] = (uint32_t)page;
		common->desc[1] = common->driver[1] = common->device[1] = (uint32_t)(page >> 32);
		common->queue_enable = 1;
		common->status = ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK;
		*(volatile uint16_t *)(notify + common->notify_off * multiplier) = 0;
		for (int look = 0; look < 100000; look += 1) {
			if (!(common->status & NEEDS_RESET))
				continue;
			seen += 1;
			break;
		}
	}
	common->status = 0;
	printf("%ld\n", seen);
	return 0;
}

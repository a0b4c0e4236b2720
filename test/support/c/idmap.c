/*
 * Mounts a directory once more with its owners shifted, as a container runtime mounts a volume for a pod in a user namespace:
 * who is user N in the volume is user N + SHIFT there.
 *
 *     idmap <directory> <mount point> <shift>
 *
 * https://man7.org/linux/man-pages/man2/mount_setattr.2.html
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static void map(pid_t child, const char *kind, const char *shift) {
  char path[64], line[64];
  snprintf(path, sizeof path, "/proc/%d/%s_map", child, kind);
  int length = snprintf(line, sizeof line, "0 %s 65536\n", shift);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, line, length) != length) fail(path);
  close(file);
}

int main(int count, char **values) {
  if (count != 4) return 2;
  int ready[2];
  if (pipe(ready) != 0) fail("pipe");
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    /* Whose user namespace says how the owners are shifted. */
    if (unshare(CLONE_NEWUSER) != 0) _exit(1);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  close(ready[1]);
  char byte;
  if (read(ready[0], &byte, 1) != 1) fail("a user namespace");
  map(child, "uid", values[3]);
  map(child, "gid", values[3]);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  int namespace = open(path, O_RDONLY | O_CLOEXEC);
  if (namespace < 0) fail(path);
  int tree = syscall(SYS_open_tree, AT_FDCWD, values[1], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0) fail("open_tree");
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = namespace};
  if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) fail("mount_setattr");
  if (syscall(SYS_move_mount, tree, "", AT_FDCWD, values[2], MOVE_MOUNT_F_EMPTY_PATH) != 0) fail("move_mount");
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  return 0;
}

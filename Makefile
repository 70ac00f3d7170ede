# SPDX-License-Identifier: GPL-2.0
# The host side. Kbuild holds the modules: kbuild prefers it over this file.

KDIR ?= /lib/modules/$(shell uname -r)/build
KERNEL ?= stock
T ?=
vm := selftests/vm

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

# modules_install runs depmod.
install: modules
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install
	install -D -m 644 drivers/frontends/60-strata.rules \
		$(INSTALL_MOD_PATH)/usr/lib/udev/rules.d/60-strata.rules

clean:
	$(MAKE) -C $(KDIR) M=$(CURDIR) clean

check demo kunit lint bench vm:
	@$(vm)/$@.sh $(if $(filter vm bench,$@),$(KERNEL)) $(T)

selftests:
	@$(vm)/selftests.sh $(KERNEL) $(T)

define help
make                       build the modules for the running kernel, or KDIR=
make install               install them there
make clean                 remove what was built here

The rest runs in a VM, never on this machine, and needs Debian 12 or 13 on amd64.
The first run, as root, installs packages and fetches or builds a kernel.

make demo                  a tour: copy-on-write disks on the stock kernel
make check                 lint, unit tests, selftests, cost gate; the last line counts
make lint                  checkpatch, sparse, kernel-doc, shellcheck, W=1
make kunit [T=NAME]        unit tests, lab kernel (KASAN, lockdep, kmemleak)
make selftests [T=NAME ..] [KERNEL=stock|lab]
                           selftests/*/*.sh whose path contains a NAME
make bench                 instructions and throughput against dm, loop, brd
make vm [KERNEL=stock|lab] a root shell in the VM; exit leaves it

selftests/vm/boot.sh -- COMMAND    one command in the VM, after selftests/vm/build.sh
The cache is $${XDG_CACHE_HOME:-~/.cache}/strata; delete it for newer kernels.
endef
export help

help:
	@printf '%s\n' "$$help"

.PHONY: modules install clean check demo kunit lint bench vm selftests help

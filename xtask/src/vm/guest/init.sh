#!/bin/busybox sh
# The guest's first process: prepares the machine, runs the job, says how it ended, switches off.
# The host names the terminals on the kernel's command line: $job_terminal is the job's output (and a person's
# terminal), $report_terminal what the host reads.
/bin/busybox --install -s /bin
# Scripts mean the programs in the search path; busybox's own shell would take its own first.
[ -e /bin/dash ] && /bin/busybox ln -sf dash /bin/sh
export PATH=/bin HOME=/root TERM=dumb

mount -t devtmpfs devices /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts terminals /dev/pts
mount -t tmpfs shared /dev/shm
mount -t proc processes /proc
mount -t sysfs system /sys
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs tracing /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 groups /sys/fs/cgroup
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
hostname guest
ip link set lo up

# What the host reads must come as it is, without carriage returns.
ln -s "$report_terminal" /dev/report
exec 3>/dev/report
stty -F /dev/report raw -echo
finish() {
    sync
    echo "exit $1" >&3
    exec 3>&-
    poweroff -f
}

for module in virtio_pci virtio_blk nvme loop zram; do modprobe -q $module; done
by_serial() {
    for disk in /sys/block/vd*; do
        [ "$(cat $disk/serial 2>/dev/null)" = "$1" ] && echo /dev/${disk##*/} && return
    done
    return 1
}
tries=0
until work=$(by_serial work) && out=$(by_serial out); do
    tries=$((tries + 1))
    [ $tries -gt 100 ] && echo "the disks do not appear" && finish 125
    sleep 0.05
done
# Empty disks for tests, and for a person.
ln -s "$(by_serial spare)" /dev/spare-virtio
ln -s /dev/nvme0n1 /dev/spare-nvme
mount -t ext4 -o noatime $work /guest/disk || finish 125

cd /root
# Open all the time: a terminal forgets its settings with its last user.
ln -s "$job_terminal" /dev/job
exec 4<>/dev/job
if [ -e /guest/job/terminal ]; then
    stty -F /dev/job sane $(cat /guest/job/terminal)
    export TERM=linux
    # The first terminal that the leader of a session opens is its own, with Ctrl-C.
    setsid sh -c 'exec /guest/job/run <>/dev/job >&0 2>&1 4>&-'
else
    stty -F /dev/job raw -echo
    /guest/job/run </dev/null >&4 2>&4 4>&-
fi
status=$?
# What it left for the host.
if [ -n "$(ls -A /guest/out)" ]; then
    tar -c -f $out -C /guest/out . || status=125
fi
finish $status

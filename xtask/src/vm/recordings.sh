# Records reads of one file of 16 MiB on a virtio disk with blktrace, in several ways, each into a folder of its own:
# the binary files t.blktrace.N, the text of blkparse (t.txt), and README.txt with what is known of the file.
set -e
release=$(uname -r)
out=/guest/out/$release
whole=$(readlink /dev/spare-virtio)
name=${whole##*/}
partition_start=2048

make_file() { # device
    mkfs.ext4 -q -F -b 4096 -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$1" 200M
    mount -t ext4 "$1" /mnt
    dd if=/dev/urandom of=/mnt/model.bin bs=1M count=16 conv=fsync 2>/dev/null
    umount /mnt
}

counters() { awk '{ print $1 " reads, " $3 " sectors read" }' /sys/block/$name/stat; }

record() { # folder, traced device, device of the file system, command
    folder=$out/$1 traced=$2 volume=$3
    shift 3
    mkdir -p "$folder"
    cd "$folder"
    echo "recording $* of $volume by $traced"
    sync
    echo 3 > /proc/sys/vm/drop_caches
    before=$(counters)
    blktrace -d "$traced" -D . -o t > blktrace.out 2>&1 &
    tracing=$!
    # It has set up its buffers when its files are there.
    until [ -e t.blktrace.1 ]; do sleep 0.1; done
    sleep 0.5
    eval "$*"
    sleep 0.5
    after=$(counters)
    kill -INT $tracing
    wait $tracing
    blkparse -i t > t.txt
    describe "$@" > README.txt
}

describe() { # command
    block_bytes=4096
    start=0
    [ "$volume" = "$whole" ] || start=$partition_start
    first=$(($(debugfs -R "bmap /model.bin 0" "$volume" 2>/dev/null) * block_bytes / 512))
    echo "kernel: $release, $(uname -v)"
    echo "traced: blktrace -d $traced -D . -o t"
    echo "text: blkparse -i t > t.txt"
    echo "command: $*"
    echo "counters of the whole disk before: $before; after: $after"
    echo "scheduler: $(cat /sys/block/$name/queue/scheduler)"
    echo "file system: ext4 on $volume, which begins at sector $start of $whole"
    echo "file: model.bin, 16777216 bytes, 32768 sectors of 512 bytes"
    echo "first sector of the file on $volume: $first; on $whole: $((first + start))"
    echo "extents, in blocks of $block_bytes bytes:"
    debugfs -R "ex /model.bin" "$volume" 2>/dev/null
}

sequential='dd if=/mnt/model.bin of=/dev/null bs=64k 2>/dev/null'
direct='dd if=/mnt/model.bin of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null'
first_half='taskset 1 dd if=/mnt/model.bin of=/dev/null bs=64k count=128 iflag=direct 2>/dev/null'
second_half='taskset 2 dd if=/mnt/model.bin of=/dev/null bs=16k skip=512 count=512 iflag=direct 2>/dev/null'
writing='dd if=/dev/zero of=/mnt/written bs=64k count=32 conv=fsync 2>/dev/null'

make_file $whole
mount -t ext4 -o ro,noload $whole /mnt
record whole-disk-sequential $whole $whole "$sequential"
record whole-disk-direct $whole $whole "$direct"
record whole-disk-two-processors $whole $whole "$first_half & $second_half; wait \$!"
umount /mnt
old=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/block/$name/queue/scheduler)
echo mq-deadline > /sys/block/$name/queue/scheduler
mount -t ext4 $whole /mnt
record whole-disk-writes-mq-deadline $whole $whole "$writing & $sequential; wait \$!"
umount /mnt
echo $old > /sys/block/$name/queue/scheduler

addpart $whole 1 $partition_start 500000
volume=${whole}1
make_file $volume
mount -t ext4 -o ro,noload $volume /mnt
record partition-traced-on-disk $whole $volume "$sequential"
record partition-traced-on-partition $volume $volume "$sequential"
umount /mnt

#!/bin/sh
# Makes the MP4 and MP3 fixtures of this folder with ffmpeg.
set -eu
cd "$(dirname "$0")"
pictures="-f lavfi -i testsrc=size=160x90:rate=12"
sound="-f lavfi -i sine=frequency=440:sample_rate=22050"
clean="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"
h264="-c:v libx264 -preset veryfast -crf 40 -g 12 -bf 2 -sc_threshold 0 -pix_fmt yuv420p -threads 1"
aac="-c:a aac -b:a 16k -ac 1"
make() { # name, then the options
    name=$1
    shift
    ffmpeg -v error -y "$@" $clean "$name"
}

make mp4-moov-last.mp4 $pictures $sound -t 4 $h264 $aac
make mp4-moov-first.mp4 -i mp4-moov-last.mp4 -c copy -movflags +faststart
make mp4-two-audio.mp4 $pictures $sound -f lavfi -i sine=frequency=880:sample_rate=22050 -t 3 \
    -map 0 -map 1 -map 2 $h264 $aac
make mp4-delay.mp4 $pictures -itsoffset 0.5 $sound -t 2 $h264 $aac
make mp4-frag.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof+delay_moov
make mp4-frag-sidx.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe+empty_moov+dash+global_sidx+skip_trailer+delay_moov
make mp4-frag-bare.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof+skip_trailer
make mp4-frag-hybrid.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe
make mp4-frag-separate.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof+separate_moof
make mp4-frag-base.mp4 -i mp4-moov-last.mp4 -c copy -movflags +frag_keyframe+empty_moov -frag_duration 500000
make m4a-aac.m4a $sound -t 4 $aac
make mp4-opus.mp4 -f lavfi -i sine=frequency=440:sample_rate=48000 -t 2 -c:a libopus -b:a 16k -ac 1
make mp4-flac.mp4 $sound -t 1 -c:a flac -ac 1 -strict -2
make mp4-hevc.mp4 $pictures -t 1 -pix_fmt yuv420p -c:v libx265 -x265-params log-level=none:pools=1 -preset veryfast -crf 40 -tag:v hvc1
make mov-pcm.mov $sound -t 0.5 -c:a pcm_s16le
make mov-aac.mov $pictures $sound -t 1 $h264 $aac

# What ffprobe reads out of each: the oracle of the tests.
for file in *.mp4 *.m4a *.mov; do
    ffprobe -v error -show_data_hash crc32 -of csv=p=0 \
        -show_entries stream=time_base:packet=stream_index,pts,dts,duration,flags,data_hash "$file" \
        | sed -e ':all' -e 'N' -e '$!ball' -e 's/,\n,/,/g' -e 's/CRC32://g' >"$file.packets"
done

id3="-id3v2_version 3 -metadata title=Sine"
make mp3-cbr.mp3 $sound -t 4 -c:a libmp3lame -b:a 32k $id3 -metadata title=Sine
make mp3-vbr.mp3 $sound -t 4 -c:a libmp3lame -q:a 9 $id3 -metadata title=Sine
make mp3-bare.mp3 $sound -t 4 -c:a libmp3lame -b:a 32k -id3v2_version 0 -write_id3v1 0 -write_xing 0

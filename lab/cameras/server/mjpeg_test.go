package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// jpeg is no picture, but begins, ends and escapes as one.
func jpeg(number byte) []byte {
	return []byte{0xff, 0xd8, 0xff, 0xe0, number, 0xff, 0x00, 0xd8, 0xff, 0xd9}
}

func clips(t *testing.T, rate string, count int) string {
	t.Helper()
	folder := t.TempDir()
	var data []byte
	for number := range count {
		data = append(data, jpeg(byte(number))...)
	}
	if err := os.WriteFile(filepath.Join(folder, "street@"+rate+".mjpeg"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func camera5(t *testing.T) *httptest.Server {
	t.Helper()
	handler, err := newMJPEG(clips(t, "50", 5))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// pull reads so many pictures and returns the numbers in them.
func pull(t *testing.T, answer *http.Response, count int) []byte {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/x-mixed-replace" {
		t.Fatalf("%v, %v", kind, err)
	}
	var seen []byte
	for reader := multipart.NewReader(answer.Body, parameters["boundary"]); len(seen) < count; {
		part, err := reader.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		if said := part.Header.Get("Content-Length"); said != fmt.Sprint(len(body)) {
			t.Fatalf("Content-Length %s of %d bytes", said, len(body))
		}
		if !bytes.Equal(body, jpeg(body[4])) {
			t.Fatalf("another picture: %x", body)
		}
		seen = append(seen, body[4])
	}
	return seen
}

func TestAViewerSeesTheClipOverAndOver(t *testing.T) {
	seen := pull(t, get(t, camera5(t).URL+"/mjpeg/street"), 8)
	for place := 1; place < len(seen); place++ {
		// A picture may be skipped on a busy machine, none comes twice.
		if step := (seen[place] + 5 - seen[place-1]) % 5; step == 0 {
			t.Fatalf("a picture twice: %v", seen)
		}
	}
}

func TestEachViewerHasItsOwnRateOfTheSameMovement(t *testing.T) {
	for fps, wanted := range map[float64][]int{
		5:    {0, 1, 2, 3, 4, 5, 6},
		2.5:  {0, 2, 4, 6},
		0.5:  {0, 10, 20},
		10:   {0, 0, 1, 1, 2},
		1.25: {0, 4, 8},
	} {
		for count, place := range wanted {
			if found := shown(float64(count)/fps, 5, 130); found != place {
				t.Errorf("fps %v, picture %d: %d, not %d", fps, count, found, place)
			}
		}
	}
	if found := shown(27, 5, 130); found != 5 {
		t.Errorf("the clip does not begin anew: %d", found)
	}
}

func TestAViewerGetsTheRateThatItAsksFor(t *testing.T) {
	url := camera5(t).URL
	start := time.Now()
	pull(t, get(t, url+"/mjpeg/street?fps=20"), 11)
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("11 pictures at 20 a second after %v", took)
	}
}

func TestAStillCameraShowsOnePicture(t *testing.T) {
	if seen := pull(t, get(t, camera5(t).URL+"/mjpeg/street?still=true"), 4); !bytes.Equal(seen, []byte{0, 0, 0, 0}) {
		t.Errorf("not one picture alone: %v", seen)
	}
}

func TestPartsAreSentWithoutChunksAndAtOnce(t *testing.T) {
	connection, err := net.Dial("tcp", camera5(t).Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprint(connection, "GET /mjpeg/street?fps=0.01 HTTP/1.1\r\nHost: camera\r\n\r\n")
	connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	reader := bufio.NewReader(connection)
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		head += line
	}
	if strings.Contains(strings.ToLower(head), "chunked") || !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatal(head)
	}
	wanted := fmt.Sprintf("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", len(jpeg(0)), jpeg(0))
	part := make([]byte, len(wanted))
	if _, err := io.ReadFull(reader, part); err != nil || string(part) != wanted {
		t.Fatalf("%q, %v", part, err)
	}
}

func TestWhatCannotBeServedIsRefused(t *testing.T) {
	url := camera5(t).URL
	for path, status := range map[string]int{
		"/mjpeg/elsewhere":       http.StatusNotFound,
		"/mjpeg/street?fps=0":    http.StatusBadRequest,
		"/mjpeg/street?fps=61":   http.StatusBadRequest,
		"/mjpeg/street?fps=NaN":  http.StatusBadRequest,
		"/mjpeg/street?fps=many": http.StatusBadRequest,
		"/mjpeg/street?still=so": http.StatusBadRequest,
	} {
		if answer := get(t, url+path); answer.StatusCode != status {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func TestAClipOfPicturesThatCannotBeServedSaysWhy(t *testing.T) {
	if _, err := newMJPEG(clips(t, "often", 1)); err == nil || !strings.Contains(err.Error(), "does not say a rate") {
		t.Errorf("got %v", err)
	}
	if _, err := splitJPEGs([]byte("no picture")); err == nil {
		t.Error("no picture, and no error")
	}
}

func TestTheServerEndsWithItsViewers(t *testing.T) {
	handler, err := newMJPEG(clips(t, "5", 2))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveMJPEG(ctx, "127.0.0.1:0", handler) }()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on")
	}
}

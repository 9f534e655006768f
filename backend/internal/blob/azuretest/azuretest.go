// Package azuretest runs Azurite, Microsoft's own server of Azure's storage for one
// machine, for tests. It must never be used outside of tests.
package azuretest

import (
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
)

const (
	account = "headrace"
	// key is of 32 bytes, in base64.
	key = "aGVhZHJhY2UtaGVhZHJhY2UtaGVhZHJhY2UtaGVhZHI="
	// required makes a machine without Azurite a failure.
	required = "HEADRACE_TEST_AZURITE"
)

// Setenv gives this process the credentials of all servers of this package. It is for
// TestMain.
func Setenv() error {
	return errors.Join(
		os.Setenv("AZURE_STORAGE_ACCOUNT", account), os.Setenv("AZURE_STORAGE_KEY", key),
		os.Setenv("AZURITE_ACCOUNTS", account+":"+key),
	)
}

// Server is one that runs until the end of its test.
type Server struct {
	tb         testing.TB
	address    string
	containers int
}

// Start starts one; nil where there is no azurite-blob on PATH, which npm installs as
// part of azurite.
func Start(tb testing.TB) *Server {
	tb.Helper()
	program, err := exec.LookPath("azurite-blob")
	if err != nil {
		if os.Getenv(required) == "required" {
			tb.Fatalf("%s=required: %v", required, err)
		}
		tb.Log("no azurite-blob on PATH: nothing is tested on Azure")
		return nil
	}
	s := &Server{tb: tb, address: servertest.FreeAddress(tb)}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		tb.Fatal(err)
	}
	process := servertest.Start(tb, s.address, program, "--silent", "--disableTelemetry", "--skipApiVersionCheck",
		"--blobHost", host, "--blobPort", port, "--location", tb.TempDir())
	tb.Cleanup(process.Stop)
	return s
}

// Bucket makes a container and returns its URL.
func (s *Server) Bucket() string {
	s.tb.Helper()
	s.containers++
	name := "container" + strconv.Itoa(s.containers)
	credential, err := azblob.NewSharedKeyCredential(account, key)
	if err != nil {
		s.tb.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential("http://"+s.address+"/"+account, credential, nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	if _, err := client.CreateContainer(s.tb.Context(), name, nil); err != nil {
		s.tb.Fatalf("make a container: %v", err)
	}
	query := url.Values{"domain": {s.address}, "protocol": {"http"}, "localemu": {"true"}}
	return "azblob://" + name + "?" + query.Encode()
}

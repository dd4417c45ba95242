// SPDX-License-Identifier: Apache-2.0

package extenderclient

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// tlsClient is what the scheduler makes of an extender's enableHTTPS and tlsConfig.
func tlsClient(t *testing.T, certificate string) *Client {
	t.Helper()
	dir := os.Getenv("KUBEMARLA_TLS_DIR")
	if dir == "" {
		t.Skip("KUBEMARLA_TLS_DIR is not set: no kubemarlad to ask")
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "kubemarla"}
	config.RootCAs.AppendCertsFromPEM(ca)
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, certificate+".crt"), filepath.Join(dir, certificate+".key"))
		if err != nil {
			t.Fatal(err)
		}
		// Whatever CAs the server names: a foreign one is to be sent too.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &pair, nil
		}
	}
	c := New(os.Getenv("KUBEMARLA_TLS_URL"), true)
	c.HTTP.Transport = utilnet.SetTransportDefaults(&http.Transport{TLSClientConfig: config})
	return c
}

func TestTLSLetsTheSchedulerIn(t *testing.T) {
	pass, _, err := tlsClient(t, "client").Filter(pod(nil), nodes("a", "b"))
	if err != nil || len(pass) != 2 {
		t.Fatalf("%v, %v", pass, err)
	}
	scores, err := tlsClient(t, "client").Prioritize(pod(nil), many(5000))
	if err != nil || len(scores) != 5000 {
		t.Fatalf("%d scores, %v", len(scores), err)
	}
}

func TestTLSKeepsConnections(t *testing.T) {
	c := tlsClient(t, "client")
	fresh := 0
	c.HTTP.Transport = &countingTransport{next: c.HTTP.Transport, fresh: &fresh}
	for i := 0; i < 5; i++ {
		if _, _, err := c.Filter(pod(nil), nodes("a", "b")); err != nil {
			t.Fatal(err)
		}
	}
	if fresh != 1 {
		t.Fatalf("%d connections for 5 requests", fresh)
	}
}

func TestTLSKeepsOthersOut(t *testing.T) {
	for _, certificate := range []string{"", "foreign"} {
		_, _, err := tlsClient(t, certificate).Filter(pod(nil), nodes("a"))
		if err == nil || !strings.Contains(err.Error(), "status 403") {
			t.Errorf("certificate %q: %v, want status 403", certificate, err)
		}
	}
}

func TestTLSIsRefusedByWhoTrustsAnotherCA(t *testing.T) {
	c := tlsClient(t, "client")
	c.HTTP.Transport.(*http.Transport).TLSClientConfig.RootCAs = x509.NewCertPool()
	if _, _, err := c.Filter(pod(nil), nodes("a")); err == nil || !strings.Contains(err.Error(), "x509") {
		t.Fatalf("%v, want an error of x509", err)
	}
}

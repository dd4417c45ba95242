/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a running daemon, and what to say when it does not answer as it should. */
#include <errno.h>
#include <string.h>

#include "km/base/err.h"
#include "km/wire/client_answers.h"

#include "cli_internal.h"

int km_cli_tell(const struct km_err *err)
{
	fprintf(stderr, "kubemarla: %s\n", err->text);
	return KM_COMMAND_FAILED;
}

bool km_cli_tls_option(struct km_client_tls *tls, int opt, const char *arg)
{
	const struct {
		int opt;
		const char **text;
	} texts[] = {
		{ KM_CLI_CA, &tls->ca_file },
		{ KM_CLI_CERT, &tls->cert_file },
		{ KM_CLI_KEY, &tls->key_file },
		{ KM_CLI_SERVER_NAME, &tls->server_name },
	};

	for (size_t i = 0; i < KM_ARRAY_LEN(texts); i++) {
		if (opt == texts[i].opt) {
			*texts[i].text = arg;
			return true;
		}
	}
	return false;
}

int km_cli_remote_begin(struct km_cli_remote *r, const char *server,
                        const struct km_client_tls *tls)
{
	const struct km_client_options options = { .tls = tls };
	struct km_err err = { .code = 0 };

	km_buf_init(&r->base);
	if (strstr(server, "://") == NULL)
		km_buf_str(&r->base, "http://"); /* 127.0.0.1:9191 is what one types */
	km_buf_str(&r->base, server);
	while (r->base.len > 0 && r->base.data[r->base.len - 1] == '/')
		r->base.len--;
	if (km_client_create(&options, &r->client, &err) != 0)
		return km_cli_tell(&err);
	return KM_COMMAND_OK;
}

void km_cli_remote_end(struct km_cli_remote *r)
{
	km_client_free(r->client);
	km_buf_fini(&r->base);
}

static int tell_unreachable(const struct km_err *err)
{
	fprintf(stderr, "kubemarla: %s\n", err->text);
	switch (err->code) {
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ETIMEDOUT:
		fprintf(stderr, "Is a kubemarlad running there?  `kubemarlad -c FILE` starts one, "
		                "`make run` one with demonstration data;\n"
		                "-s URL asks another than " KM_CLI_SERVER ".\n");
		break;
	case EKEYREJECTED:
		fprintf(stderr, "--ca FILE names the CA of its certificate, --server-name NAME the "
		                "name in it.\n");
		break;
	default:
		break;
	}
	return KM_COMMAND_FAILED;
}

static int tell_refused(const char *url, int status, const struct km_buf *body, bool posted)
{
	struct km_buf message;

	km_buf_init(&message);
	km_client_read_error(body->data, body->len, &message);
	fprintf(stderr, "kubemarla: %s: status %d%s%s\n", url, status, message.len > 0 ? ": " : "",
	        km_buf_cstr(&message));
	if (message.len == 0 || status == 404)
		fprintf(stderr, "Is it a kubemarlad, with the role extender?\n");
	km_buf_fini(&message);
	return posted && status == 400 ? KM_COMMAND_USAGE : KM_COMMAND_FAILED;
}

/* GET, or POST of a body. The answer of a 200 goes to out. */
int km_cli_remote_fetch(struct km_cli_remote *r, const char *path, const struct km_buf *body,
                        struct km_buf *out)
{
	struct km_err err = { .code = 0 };
	struct km_buf url;
	int status;
	int code = KM_COMMAND_OK;

	km_buf_init(&url);
	km_buf_append(&url, r->base.data, r->base.len);
	km_buf_str(&url, path);
	status = km_client_do(r->client, km_buf_cstr(&url),
	                      body != NULL ? body->len > 0 ? body->data : "" : NULL,
	                      body != NULL ? body->len : 0, out, &err);
	if (status < 0)
		code = tell_unreachable(&err);
	else if (status != 200)
		code = tell_refused(km_buf_cstr(&url), status, out, body != NULL);
	km_buf_fini(&url);
	return code;
}

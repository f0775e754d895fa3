"""A Django site whose people sign in at the admin's page, with django-oauth-toolkit set up as docs/issuers/django-oauth-toolkit.md says.

`python login_site.py setup` makes its tables, two people and the client epicme; `python login_site.py runserver` serves it, and so
does gunicorn by `login_site:application`. DATABASE, SECRET and PORT are in the environment, and WITH_SUBJECT names a module with the
page's view, if the site is to have it.
"""

import importlib
import os
import sys

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="only for a test",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="login_site",
    USE_TZ=True,
    INSTALLED_APPS=[f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions", "messages", "admin")] + ["oauth2_provider"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    LOGIN_URL="/admin/login/",
    STATIC_URL="/static/",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    OAUTH2_PROVIDER={
        "SCOPES": {name: name for name in "user:read entries:read entries:write tags:read tags:write introspection".split()},
        "DEFAULT_SCOPES": ["entries:read"],
        "PKCE_REQUIRED": True,
        "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": ("oauth2_provider.dcr.AllowAllDCRPermission",),
        "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["client_secret_post", "client_secret_basic", "none"],
    },
)
# Also where this file is the program.
sys.modules["login_site"] = sys.modules[__name__]
django.setup()

from django.contrib import admin  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider import urls as toolkit  # noqa: E402

urlpatterns = [path("admin/", admin.site.urls)]
if "WITH_SUBJECT" in os.environ:
    view = importlib.import_module(os.environ["WITH_SUBJECT"])
    urlpatterns.append(path("o/introspect/", view.WithSubject.as_view()))
urlpatterns += [path("o/", include(toolkit)), path("", include((toolkit.metadata_urlpatterns, "root_metadata")))]

application = get_wsgi_application()


def setup():
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from oauth2_provider.models import Application

    call_command("migrate", verbosity=0)
    for user in ("ada", "bela"):
        User.objects.create_user(user, password=f"correct horse {user}", is_staff=True)
    Application.objects.create(
        name="EpicMe",
        client_id="epicme",
        client_secret=os.environ["SECRET"],
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_CLIENT_CREDENTIALS,
    )


if __name__ == "__main__":
    if sys.argv[1] == "setup":
        setup()
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line([sys.argv[0], "runserver", "--noreload", f"127.0.0.1:{os.environ['PORT']}"])

//! Events: routes of every origin, schedules, triggers.

use esb_model::Api;

use crate::{findings, read};

/// `METHOD path function api` of every route, in order.
fn routes(text: &str) -> Vec<String> {
    let show = |api: &Api| match api {
        Api::Rest(id) => format!("rest {}", id.as_deref().unwrap_or("-")),
        Api::Http(id) => format!("http {}", id.as_deref().unwrap_or("-")),
        Api::FunctionUrl => "url".to_owned(),
    };
    let app = read(text).application;
    let line = |r: &esb_model::Route| {
        format!("{} {} {} {}", r.method, r.path, r.function.logical_id, show(&r.api))
    };
    app.routes.iter().map(line).collect()
}

fn function(events: &str) -> String {
    format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  Mine: {{Type: AWS::Serverless::Api, \
         Properties: {{StageName: v1}}}}\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
         Runtime: python3.12\n      Handler: a.b\n      Events:\n{events}"
    )
}

#[test]
fn routes_of_events() {
    let text = function(
        "        A: {Type: Api, Properties: {Path: /a, Method: get}}\n        \
         B: {Type: Api, Properties: {Path: '/b/{id}', Method: ANY, RestApiId: !Ref Mine}}\n        \
         C: {Type: Api, Properties: {Path: /c, Method: x-amazon-apigateway-any-method, RestApiId: Mine}}\n        \
         D: {Type: HttpApi}\n        \
         E: {Type: HttpApi, Properties: {Path: /e, Method: Post, PayloadFormatVersion: '1.0'}}\n        \
         G: {Type: Api, Properties: {Path: /a, Method: GET}}\n",
    );
    assert_eq!(
        routes(&text),
        [
            "GET /a F rest -",
            "ANY /b/{id} F rest Mine",
            "ANY /c F rest Mine",
            "ANY $default F http -",
            "POST /e F http -",
        ]
    );
}

#[test]
fn events_that_are_not_complete() {
    let text = function(
        "        A: {Type: Api}\n        \
         B: {Type: HttpApi, Properties: {Path: /b}}\n        \
         C: {Type: Shedule}\n        \
         D: {Type: Schedule, Properties: {}}\n        \
         E: {}\n        \
         G: {Type: SQS, Properties: {Queue: x}}\n        \
         H: {Type: SQS, Properties: {Queue: y}}\n",
    );
    assert_eq!(
        findings(&text),
        [
            "error sam::event 10:9 event `A` of `F` needs a path and a method",
            "error sam::event 11:9 event `B` of `F` needs both a path and a method, or neither",
            "warning sam::event 12:19 event `C` of `F` has the unknown type `Shedule` (did you mean `Schedule`?)",
            "error sam::event 13:9 event `D` of `F` has no Schedule",
            "error sam::event 14:9 event `E` of `F` has no type",
            "note platform::trigger 15:9 the platform does not serve SQS events",
        ]
    );
    let triggers = read(&text).application.triggers;
    let triggers: Vec<_> = triggers.iter().map(|t| format!("{} {}", t.name, t.kind)).collect();
    assert_eq!(triggers, ["C Shedule", "G SQS", "H SQS"]);
}

#[test]
fn one_path_and_method_leads_to_one_function() {
    let text = "
Transform: AWS::Serverless-2016-10-31
Globals: {Function: {Runtime: python3.12, Handler: a.b}}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: Api, Properties: {Path: /a, Method: get}}}}}
  G: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: Api, Properties: {Path: /a, Method: GET}}, H: {Type: HttpApi, Properties: {Path: /a, Method: get}}}}}
";
    assert_eq!(routes(text), ["GET /a F rest -", "GET /a G http -"]);
    assert_eq!(findings(text), ["error sam::route-conflict 6:62 `GET /a` already goes to `F`",]);
}

#[test]
fn schedules() {
    let text = function(
        "        A: {Type: Schedule, Properties: {Schedule: rate(1 minute)}}\n        \
         B: {Type: Schedule, Properties: {Schedule: 'cron(0 12 * * ? *)', Input: '{\"k\": 1}', Enabled: false}}\n        \
         C: {Type: ScheduleV2, Properties: {ScheduleExpression: !Sub 'rate(${AWS::AccountId} hours)', State: DISABLED, Input: {a: 1}}}\n        \
         D: {Type: ScheduleV2, Properties: {ScheduleExpression: !ImportValue x}}\n",
    );
    let schedules = read(&text).application.schedules;
    let line = |s: &esb_model::Schedule| {
        format!("{} {:?} {:?} {}", s.name, s.expression, s.input, s.enabled)
    };
    assert_eq!(
        schedules.iter().map(line).collect::<Vec<_>>(),
        [
            r#"A Some("rate(1 minute)") None true"#,
            r#"B Some("cron(0 12 * * ? *)") Some("{\"k\": 1}") false"#,
            r#"C Some("rate(123456789012 hours)") Some("{\"a\":1}") false"#,
            "D None None true",
        ]
    );
}

#[test]
fn function_urls_are_routes_of_their_own_kind() {
    let text = "Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, FunctionUrlConfig: {AuthType: NONE}}}\n";
    assert_eq!(routes(text), ["ANY /{proxy+} F url"]);
}

#[test]
fn routes_of_openapi_documents_and_raw_resources() {
    let text = r"
Transform: AWS::Serverless-2016-10-31
Conditions: {Yes: !Equals [a, a]}
Resources:
  F: {Type: AWS::Serverless::Function, Properties: {Runtime: python3.12, Handler: a.b, FunctionName: named}}
  Api:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      DefinitionBody:
        paths:
          /one:
            get:
              x-amazon-apigateway-integration:
                uri: !Sub arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${F.Arn}/invocations
            parameters: []
          /two:
            Fn::If:
              - Yes
              - x-amazon-apigateway-any-method:
                  x-amazon-apigateway-integration:
                    uri: !Join ['', ['arn:aws:apigateway:r:lambda:path/2015-03-31/functions/', !GetAtt F.Arn, /invocations]]
              - {}
          /other: {get: {x-amazon-apigateway-integration: {uri: 'https://example.com'}}}
  Rest: {Type: AWS::ApiGateway::RestApi, Properties: {Name: x}}
  Items: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Rest, ParentId: !GetAtt Rest.RootResourceId, PathPart: items}}
  Item: {Type: AWS::ApiGateway::Resource, Properties: {RestApiId: !Ref Rest, ParentId: !Ref Items, PathPart: '{id}'}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Rest
      ResourceId: !Ref Item
      HttpMethod: GET
      Integration: {Uri: !Sub 'arn:aws:apigateway:r:lambda:path/2015-03-31/functions/${F.Arn}/invocations'}
  Http: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: HTTP}}
  Int: {Type: AWS::ApiGatewayV2::Integration, Properties: {ApiId: !Ref Http, IntegrationUri: !GetAtt F.Arn}}
  Route: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Http, RouteKey: 'PUT /p', Target: !Sub 'integrations/${Int}'}}
  Default: {Type: AWS::ApiGatewayV2::Route, Properties: {ApiId: !Ref Http, RouteKey: $default, Target: !Join [/, [integrations, !Ref Int]]}}
";
    assert_eq!(
        routes(text),
        [
            "GET /one F rest Api",
            "ANY /two F rest Api",
            "GET /items/{id} F rest Rest",
            "PUT /p F http Http",
            "ANY $default F http Http",
        ]
    );
}

#[test]
fn schedules_that_are_resources() {
    let text = r"
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: x}}
  Rule: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 hour), State: DISABLED, Targets: [{Id: a, Arn: !GetAtt F.Arn, Input: '{}'}, {Id: b, Arn: 'arn:aws:sns:x:1:t'}]}}
  Plan: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: rate(2 hours), Target: {Arn: !GetAtt F.Arn}}}
";
    let schedules = read(text).application.schedules;
    let line = |s: &esb_model::Schedule| format!("{} {:?} {}", s.name, s.expression, s.enabled);
    assert_eq!(
        schedules.iter().map(line).collect::<Vec<_>>(),
        [r#"Rule Some("rate(1 hour)") false"#, r#"Plan Some("rate(2 hours)") true"#,]
    );
}

/// The findings of one event of a function whose code is here or in S3.
fn of_event(event: &str, code: &str) -> Vec<String> {
    let text = format!(
        "Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {{Type: \
         AWS::Serverless::Function, Properties: {{Runtime: python3.12, Handler: a.b, CodeUri: \
         '{code}', Events: {{\n    E: {event}}}}}}}\n"
    );
    let found = findings(&text).into_iter();
    found.filter(|finding| finding.contains(" 4:")).map(|f| f.replace("sam::", "")).collect()
}

#[test]
fn methods_and_paths_that_no_api_has() {
    for (event, expected) in [
        (
            "{Type: Api, Properties: {Path: /a, Method: gett}}",
            vec!["error route 4:51 `gett` is not an HTTP method (did you mean `GET`?)"],
        ),
        (
            "{Type: HttpApi, Properties: {Path: a/b, Method: SUBSCRIBE}}",
            vec![
                "error route 4:43 the path `a/b` does not begin with `/` (write `/a/b`)",
                "error route 4:56 `SUBSCRIBE` is not an HTTP method",
            ],
        ),
        ("{Type: Api, Properties: {Path: /, Method: Any}}", vec![]),
        (
            "{Type: HttpApi, Properties: {Path: $default, Method: x-amazon-apigateway-any-method}}",
            vec![],
        ),
        ("{Type: HttpApi}", vec![]),
    ] {
        assert_eq!(of_event(event, "src"), expected, "{event}");
    }
    let event = "{Type: Api, Properties: {Path: a, Method: gett}}";
    assert!(of_event(event, "s3://b/k").iter().all(|finding| finding.starts_with("warning")));
}

#[test]
fn schedule_expressions_that_aws_refuses() {
    let event = "{Type: Schedule, Properties: {Schedule: 'cron(0 9 * * *)'}}";
    let expected =
        "4:48 `cron(0 9 * * *)` has 5 fields (AWS has six fields: write `cron(0 9 * * ? *)`)";
    assert_eq!(of_event(event, "src"), [format!("error schedule {expected}")]);
    assert_eq!(of_event(event, "s3://b/k"), [format!("warning schedule {expected}")]);
    let event = "{Type: ScheduleV2, Properties: {ScheduleExpression: 'at(2030-01-01T00:00:00)'}}";
    assert_eq!(
        of_event(event, "src"),
        [
            "warning schedule 4:60 `at(2030-01-01T00:00:00)` will not run here (the platform's scheduler has `rate(…)` and `cron(…)` only)"
        ]
    );
    let text = r"
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b, Code: x}}
  Rule: {Type: AWS::Events::Rule, Properties: {ScheduleExpression: rate(1 hours), Targets: [{Id: a, Arn: !GetAtt F.Arn}]}}
  Plan: {Type: AWS::Scheduler::Schedule, Properties: {ScheduleExpression: rate(1 hours), Target: {Arn: !GetAtt F.Arn}}}
";
    let found: Vec<_> =
        findings(text).into_iter().filter(|f| f.contains("sam::schedule")).collect();
    assert_eq!(
        found,
        [
            "error sam::schedule 4:68 `rate(1 hours)` needs the singular after 1 (write `rate(1 hour)`)"
        ]
    );
}
